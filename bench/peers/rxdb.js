// node rxdb.js <visits.json> <server> <edited>: RxDB in memory against a map in memory.
import { createRxDatabase } from "rxdb"
import { replicateRxCollection } from "rxdb/plugins/replication"
import { getRxStorageMemory } from "rxdb/plugins/storage-memory"
import { edited, read, timed } from "./documents.js"

const [path, server, count] = process.argv.slice(2)
const visits = read(path)
const schema = {
  version: 0,
  primaryKey: "id",
  type: "object",
  properties: {
    id: { type: "string", maxLength: 36 },
    fields: { type: "object" },
    entries: { type: "array", items: { type: "object" } },
  },
}
let conflicts = 0

async function open(name) {
  const database = await createRxDatabase({ name, storage: getRxStorageMemory() })
  const { visits } = await database.addCollections({ visits: { schema } })
  return visits
}

async function ask(what, body) {
  const answer = await fetch(`${server}/${what}`, { method: "POST", body: JSON.stringify(body) })
  return answer.json()
}

async function replicate(collection, directions) {
  const state = replicateRxCollection({
    collection,
    replicationIdentifier: "bench",
    live: false,
    ...("push" in directions && {
      push: {
        batchSize: 500,
        async handler(rows) {
          const found = await ask("push", rows)
          conflicts += found.length
          return found
        },
      },
    }),
    ...("pull" in directions && {
      pull: {
        batchSize: 500,
        handler: (checkpoint, most) => ask("pull", { after: checkpoint?.at ?? 0, most }),
      },
    }),
  })
  await state.awaitInitialReplication()
  await state.cancel()
}

const one = await open("one")
const two = await open("two")
await one.bulkInsert(visits.map(({ id, edits }) => ({ id, ...edits[0] })))
for (const edit of visits[0].edits.keys()) {
  await one.bulkUpsert(visits.map(({ id, edits }) => ({ id, ...edits[edit] })))
}
const both = { push: true, pull: true }
const push = await timed(() => replicate(one, both))
const pull = await timed(() => replicate(two, both))
const idle = await timed(() => replicate(two, both))
for (const [side, collection] of Object.entries({ one, two })) {
  for (const { id } of visits.slice(0, Number(count))) {
    const document = await collection.findOne(id).exec()
    const { fields, entries } = document.toMutableJSON()
    await document.incrementalPatch(edited({ fields, entries }, side))
  }
}
conflicts = 0
await replicate(one, both)
await replicate(two, both)
await replicate(one, both)
let kept = 0
for (const { id } of visits.slice(0, Number(count))) {
  const { entries } = (await one.findOne(id).exec()).toJSON()
  kept += entries.filter(({ text }) => text?.startsWith("note of ")).length
}
console.log(JSON.stringify({ push, pull, idle, conflicts, kept }))
process.exit(0)
