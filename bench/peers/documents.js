// The same work as documents: each operation is one edit of its visit's document.
import { readFileSync } from "node:fs"

/** `[{id, edits: [document, …]}]`: every state of every visit, oldest first. */
export function read(path) {
  return JSON.parse(readFileSync(path, "utf8")).map(({ id, operations }) => {
    const edits = []
    let fields = {}, entries = []
    for (const { kind, value } of operations) {
      if (kind === "diagnosis" || kind === "outcome") fields = { ...fields, ...value }
      else entries = [...entries, { kind, ...value }]
      edits.push({ fields, entries })
    }
    return { id, edits }
  })
}

/** `document` after one side changed the diagnosis and added a note. */
export function edited({ fields, entries }, side) {
  return {
    fields: { ...fields, "diagnosis/text": `cause as seen by ${side}` },
    entries: [...entries, { kind: "note", text: `note of ${side}` }],
  }
}

export async function timed(work) {
  const start = performance.now()
  await work()
  return performance.now() - start
}
