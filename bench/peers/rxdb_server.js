// node rxdb_server.js <port>: the least that RxDB can replicate with, a map in memory.
import { createServer } from "node:http"

const held = new Map()
let count = 0

createServer(async (request, response) => {
  let text = ""
  for await (const piece of request) text += piece
  const asked = text ? JSON.parse(text) : {}
  response.setHeader("content-type", "application/json")
  response.end(JSON.stringify(request.url === "/push" ? push(asked) : pull(asked)))
}).listen(Number(process.argv[2]), "127.0.0.1")

function push(rows) {
  const conflicts = []
  for (const { assumedMasterState, newDocumentState } of rows) {
    const master = held.get(newDocumentState.id)
    const assumed = assumedMasterState ? JSON.stringify(assumedMasterState) : undefined
    if (master && JSON.stringify(master.document) !== assumed) conflicts.push(master.document)
    else held.set(newDocumentState.id, { document: newDocumentState, at: ++count })
  }
  return conflicts
}

function pull({ after, most }) {
  const changed = [...held.values()].filter(({ at }) => at > after).sort((a, b) => a.at - b.at)
  const page = changed.slice(0, most)
  return {
    documents: page.map(({ document }) => document),
    checkpoint: { at: page.length ? page.at(-1).at : after },
  }
}
