// @ts-check
/** What stands on this phone: unsent work in words, storage, and what the office last said. */
import { lockOf } from "./lock.js"
import { hashed } from "./perform.js"
import { readBlob, readMeta, readOutbox, readPeople, readUnsent, readVisits } from "./store.js"

const FORMAT = "fieldapp.unsent"
const FORMAT_VERSION = 1
const MEBIBYTE = 1024 * 1024
const MINUTE_MS = 60_000
/** How much of what arrived is listed, the newest first. */
const LISTED = 30

/**
 * For the list: how much is unsent, what stops the pull, whether the storage was once emptied.
 * @param {{id: string}} person
 * @param {any[]} offsets the organisation's
 */
export async function briefly(person, offsets) {
  const [{ operations, photos }, paused, emptied, lock] = await Promise.all([
    readUnsent(person.id),
    readMeta(person.id, "paused"),
    readMeta(person.id, "emptied"),
    lockOf(person.id),
  ])
  return {
    offsets,
    items: operations.length,
    photos: photos.length,
    paused: paused ?? "",
    lock,
    emptied: emptied ? { heard_at: text(emptied.heard_at), unsent: emptied.unsent ?? 0 } : null,
  }
}

/**
 * For the sync page. Every unsent item is named, whether its visit is still here or not, with what
 * the server said of it if it did not take it; of what arrived the newest, with what became of it.
 * @param {{id: string, name: string}} person
 * @param {any[]} offsets the organisation's
 */
export async function wholly(person, offsets) {
  const notes = ["heard_at", "tried_at", "reached", "skew", "sending", "refused_operations", "refused_photos"]
  const [brief, { operations, photos }, all, rows, ...noted] = await Promise.all([
    briefly(person, offsets),
    readUnsent(person.id),
    readOutbox(person.id),
    readVisits(person.id),
    ...notes.map((key) => readMeta(person.id, key)),
  ])
  const [heard, tried, reached, skew, sending, refused, refusedPhotos] = noted
  const openings = all.filter(({ body }) => body.kind === "opening")
  const customers = new Map([
    ...rows.map((row) => [row.visit, row.state.context.customer.name]),
    ...openings.map(({ visit, body }) => [visit, body.value.customer]),
  ])
  const of = (visit) => ({ visit, customer: customers.get(visit) ?? "" })
  const item = ({ visit, body }) => ({
    ...of(visit),
    kind: body.kind,
    list: typeof body.value?.list === "string" ? body.value.list : "",
    at: text(body.wall),
  })
  const newest = all.filter((row) => row.receipt).sort((a, b) => b.at - a.at || b.n - a.n)
  return {
    ...brief,
    operations: operations.map((row) => ({ ...item(row), said: refused?.[row.id] ?? "" })),
    pictures: [...new Set(photos.map(({ visit }) => visit))].map((visit) => ({
      ...of(visit),
      ...pictures(photos.filter((photo) => photo.visit === visit), sending, refusedPhotos ?? {}),
    })),
    arrived: newest.slice(0, LISTED).map((row) => ({
      ...item(row),
      state: row.receipt.state,
      reasons: row.receipt.reasons ?? [],
    })),
    clock: clock(heard ? skew : undefined),
    heard_at: text(heard),
    tried_at: text(tried),
    is_reached: reached !== false,
    others: await others(person.id),
    storage: await storage(),
  }
}

/** Photos of one visit in numbers: sizes in whole KB, at least 1; `said` is the first refusal. */
function pictures(photos, sending, refused) {
  const kilobytes = (bytes) => Math.ceil(bytes / 1000)
  const isOnItsWay = photos.some(({ sha256 }) => sha256 === sending?.sha256)
  return {
    count: photos.length,
    size: kilobytes(photos.reduce((sum, { size }) => sum + size, 0)),
    received: isOnItsWay ? kilobytes(sending.received) : 0,
    said: photos.map(({ sha256 }) => refused[sha256]).find(Boolean) ?? "",
  }
}

/** How far the phone's clock is off, in whole minutes; null while the server's is not known. */
function clock(skew) {
  if (skew === undefined) return null
  const minutes = Math.floor(Math.abs(skew) / MINUTE_MS)
  return { minutes, is_slow: skew > 0 }
}

/** Who else has unsent work locked on this phone: name and numbers, nothing of the work. */
export async function others(except) {
  const people = (await readPeople()).filter(({ id }) => id !== except)
  const counted = people.map(async ({ id, name }) => {
    const { operations, photos } = await readUnsent(id)
    return { name, items: operations.length, photos: photos.length }
  })
  return (await Promise.all(counted)).filter(({ items, photos }) => items || photos)
}

/** Whole MiB used and free, and whether the browser promised not to empty it; null if it is silent. */
async function storage() {
  const { usage, quota } = (await navigator.storage?.estimate?.()) ?? {}
  if (usage === undefined || quota === undefined) return null
  return {
    used: Math.ceil(usage / MEBIBYTE),
    free: Math.max(0, Math.floor((quota - usage) / MEBIBYTE)),
    is_persistent: (await navigator.storage.persisted?.()) ?? false,
  }
}

/**
 * A person's unsent work as a file for the desk: JSON, photos in base64. It is written piece by
 * piece, one photo in memory at a time.
 * @returns {Promise<{name: string, stream: ReadableStream}>}
 */
export async function unsentFile(person) {
  const { operations, photos } = await readUnsent(person.id)
  const at = new Date()
  const about = {
    format: FORMAT,
    version: FORMAT_VERSION,
    person,
    device: (await readMeta(person.id, "device")) ?? "",
    exported_at: text(at.getTime()),
    operations: await Promise.all(operations.map(({ body }) => hashed(body))),
  }
  const encoder = new TextEncoder()
  const pieces = writeFile(person, about, photos)
  const stream = new ReadableStream({
    async pull(controller) {
      const { value, done } = await pieces.next()
      if (done) controller.close()
      else controller.enqueue(encoder.encode(value))
    },
  })
  return { name: `fieldapp ${person.name} ${about.exported_at.slice(0, 10)}.json`, stream }
}

async function* writeFile(person, about, photos) {
  yield `${JSON.stringify(about).slice(0, -1)},"photos":[`
  let comma = ""
  for (const { sha256, visit } of photos) {
    const blob = await readBlob(person.id, sha256)
    if (!blob) continue
    const base64 = base64Of(new Uint8Array(blob.bytes))
    yield comma + JSON.stringify({ sha256, visit, type: blob.type, base64 })
    comma = ","
  }
  yield "]}"
}

function base64Of(bytes) {
  let binary = ""
  for (let at = 0; at < bytes.length; at += 0x8000) {
    binary += String.fromCharCode(...bytes.subarray(at, at + 0x8000))
  }
  return btoa(binary)
}

/** ISO UTC with whole seconds; empty for no time. */
function text(ms) {
  return ms ? `${new Date(ms).toISOString().slice(0, 19)}Z` : ""
}
