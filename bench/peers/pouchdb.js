// node pouchdb.js <visits.json> <server> <edited>: PouchDB in memory against pouchdb-server.
import PouchDB from "pouchdb"
import memory from "pouchdb-adapter-memory"
import { edited, read, timed } from "./documents.js"

PouchDB.plugin(memory)
const [path, server, count] = process.argv.slice(2)
const visits = read(path)
const remote = `${server}/visits`
const one = new PouchDB("one", { adapter: "memory" })
const two = new PouchDB("two", { adapter: "memory" })
const opened = new PouchDB(remote)
await opened.put({ _id: "warm" })
await opened.get("warm")

for (const edit of visits[0].edits.keys()) {
  const held = await one.allDocs()
  const revs = new Map(held.rows.map((row) => [row.id, row.value.rev]))
  await one.bulkDocs(
    visits.map(({ id, edits }) => ({ _id: id, _rev: revs.get(id), ...edits[edit] })),
  )
}
const push = await timed(() => one.replicate.to(remote, { batch_size: 500 }))
const pull = await timed(() => two.replicate.from(remote, { batch_size: 500 }))
const idle = await timed(() => two.replicate.from(remote))

for (const [side, database] of Object.entries({ one, two })) {
  for (const { id } of visits.slice(0, Number(count))) {
    const { _id, _rev, ...document } = await database.get(id)
    await database.put({ _id, _rev, ...edited(document, side) })
  }
}
await one.replicate.to(remote)
await two.sync(remote)
await one.replicate.from(remote)
let [conflicts, kept] = [0, 0]
for (const { id } of visits.slice(0, Number(count))) {
  const document = await one.get(id, { conflicts: true })
  conflicts += document._conflicts ? 1 : 0
  kept += document.entries.filter(({ text }) => text?.startsWith("note of ")).length
}
console.log(JSON.stringify({ push, pull, idle, conflicts, kept }))
process.exit(0)
