// @ts-check
/**
 * What this phone keeps: one small database of the phone, and one of each person who signed in.
 *
 * `outbox` is frozen: its rows are the only copy of somebody's work. Everything else can be pulled
 * again. An operation is written, with its id and counter, in one strict transaction; who asked for
 * it is answered after that transaction completed.
 */
import { openDB } from "../vendor/idb.js"

const VERSION = 1
const KEEP_MS = 30 * 24 * 60 * 60 * 1000

/** The note that lists photos by hash, `{visit, sent}`: their bytes are read only to show or send. */
const PHOTOS = "photos"

/** Connections by database name; a browser may close any of them at any time. */
const open = new Map()

/** @typedef {"unsent" | "held" | "settled"} OutboxState made here / has a receipt / was pulled */

/**
 * Run `work` with the database `name`; a connection the browser has lost is opened once more.
 * @template T
 * @param {string} name
 * @param {(db: import("idb").IDBPDatabase) => Promise<T>} work
 * @returns {Promise<T>}
 */
async function use(name, work) {
  try {
    return await work(await connection(name))
  } catch (error) {
    if (!["UnknownError", "InvalidStateError", "AbortError"].includes(error?.name)) throw error
    open.get(name)?.then((db) => db.close(), () => {})
    open.delete(name)
    return work(await connection(name))
  }
}

function connection(name) {
  if (!open.has(name)) {
    const opening = openDB(name, VERSION, {
      upgrade(db) {
        if (name === PHONE) {
          db.createObjectStore("settings")
          return
        }
        db.createObjectStore("outbox", { keyPath: "id" }).createIndex("visit", "visit")
        db.createObjectStore("visits", { keyPath: "visit" })
        db.createObjectStore("blobs", { keyPath: "sha256" })
        db.createObjectStore("meta")
      },
      // Another tab wants to upgrade: an open connection would make it wait for ever.
      blocking: () => forget(name),
      terminated: () => open.delete(name),
    })
    opening.catch(() => open.delete(name))
    open.set(name, opening)
  }
  return open.get(name)
}

async function forget(name) {
  const opening = open.get(name)
  open.delete(name)
  ;(await opening)?.close()
}

const PHONE = "fieldapp"
const of = (person) => `fieldapp-${person}`
const STRICT = { durability: /** @type {const} */ ("strict") }

/** A setting of the phone: `person` {id, name} who is signed in, `language`. */
export function readSetting(key) {
  return use(PHONE, (db) => db.get("settings", key))
}

export function writeSetting(key, value) {
  return use(PHONE, (db) => db.put("settings", value, key))
}

/** What is noted for a person: device, credential, epoch, cursor, skew, policy… */
export function readMeta(person, key) {
  return use(of(person), (db) => db.get("meta", key))
}

/** Write several notes in one transaction. */
export function writeMeta(person, notes) {
  return use(of(person), async (db) => {
    const tx = db.transaction("meta", "readwrite", STRICT)
    for (const [key, value] of Object.entries(notes)) tx.store.put(value, key)
    await tx.done
  })
}

/**
 * Keep one operation. `make` is given its counter, the device and the phone's skew, and returns the
 * envelope with its id; nothing that waits may happen in it.
 */
export function keepOperation(person, make) {
  let body // made once: a second try after a lost connection writes the same operation
  return use(of(person), async (db) => {
    const tx = db.transaction(["outbox", "meta"], "readwrite", STRICT)
    const meta = tx.objectStore("meta")
    const [counter, device, skew] = await Promise.all(
      ["counter", "device", "skew"].map((key) => meta.get(key)),
    )
    body ??= make({ n: (counter ?? 0) + 1, device, skew: skew ?? 0 })
    const { id, visit, n } = body
    meta.put(Math.max(counter ?? 0, n), "counter")
    tx.objectStore("outbox").put({ id, visit, n, body, state: "unsent" })
    await tx.done
    return body
  })
}

/** Rows of the outbox, of one visit or of all, by counter. */
export function readOutbox(person, visit) {
  return use(of(person), async (db) => {
    const rows =
      visit === undefined
        ? await db.getAll("outbox")
        : await db.getAllFromIndex("outbox", "visit", visit)
    return rows.sort((a, b) => a.n - b.n)
  })
}

/** The server named these operations: `receipts` as they came. */
export function keepReceipts(person, receipts, notes) {
  return use(of(person), async (db) => {
    const tx = db.transaction(["outbox", "meta"], "readwrite", STRICT)
    const outbox = tx.objectStore("outbox")
    for (const receipt of receipts) {
      const row = await outbox.get(receipt.id)
      if (row?.state === "unsent") outbox.put({ ...row, state: "held", receipt, at: Date.now() })
    }
    for (const [key, value] of Object.entries(notes)) tx.objectStore("meta").put(value, key)
    await tx.done
  })
}

/** The server forgot (a backup was restored): everything still kept here is sent again. */
export function unsendAll(person) {
  return use(of(person), async (db) => {
    const tx = db.transaction(["outbox", "meta"], "readwrite", STRICT)
    const [outbox, meta] = [tx.objectStore("outbox"), tx.objectStore("meta")]
    for (const row of await outbox.getAll()) outbox.put({ ...row, state: "unsent" })
    const photos = Object.entries((await meta.get(PHOTOS)) ?? {})
    const unsent = photos.map(([sha256, photo]) => [sha256, { ...photo, sent: false }])
    meta.put(Object.fromEntries(unsent), PHOTOS)
    await tx.done
  })
}

export function readVisits(person) {
  return use(of(person), (db) => db.getAll("visits"))
}

export function readVisit(person, visit) {
  return use(of(person), (db) => db.get("visits", visit))
}

/**
 * One page of a pull: rows, cursor and what the operations `settled` have become, in one
 * transaction. A visit that left the scope goes only when nothing of it is still to send.
 */
export function keepPull(person, { changed, removed, settled, notes }) {
  return use(of(person), async (db) => {
    const tx = db.transaction(["visits", "outbox", "meta"], "readwrite", STRICT)
    const [visits, outbox] = [tx.objectStore("visits"), tx.objectStore("outbox")]
    for (const row of changed) visits.put(row)
    const photos = Object.values((await tx.objectStore("meta").get(PHOTOS)) ?? {})
    for (const { visit, reason } of removed) {
      const rows = await outbox.index("visit").getAll(visit)
      const waits =
        rows.some((row) => row.state === "unsent") ||
        photos.some((photo) => photo.visit === visit && !photo.sent)
      const row = await visits.get(visit)
      if (!waits) visits.delete(visit)
      else if (row) visits.put({ ...row, removed: reason })
    }
    const oldest = Date.now() - KEEP_MS
    for (const id of settled) {
      const row = await outbox.get(id)
      if (row) outbox.put({ ...row, state: "settled" })
    }
    for (const row of await outbox.getAll()) {
      if (row.state === "settled" && (row.at ?? 0) < oldest) outbox.delete(row.id)
    }
    for (const [key, value] of Object.entries(notes)) tx.objectStore("meta").put(value, key)
    await tx.done
  })
}

/** Keep a photo. Bytes, not a Blob: some phones lose Blobs in their databases. */
export function keepBlob(person, blob) {
  return use(of(person), async (db) => {
    const tx = db.transaction(["blobs", "meta"], "readwrite", STRICT)
    const [blobs, meta] = [tx.objectStore("blobs"), tx.objectStore("meta")]
    const photos = (await meta.get(PHOTOS)) ?? {}
    if (!photos[blob.sha256]) {
      blobs.put(blob)
      meta.put({ ...photos, [blob.sha256]: { visit: blob.visit, sent: false } }, PHOTOS)
    }
    await tx.done
  })
}

export function readBlob(person, sha256) {
  return use(of(person), (db) => db.get("blobs", sha256))
}

/** Photos the server does not hold yet, without their bytes: every page counts them. */
export async function readUnsentPhotos(person) {
  const photos = Object.entries((await readMeta(person, PHOTOS)) ?? {})
  return photos.filter(([, photo]) => !photo.sent).map(([sha256, { visit }]) => ({ sha256, visit }))
}

/** The server holds this photo. The local bytes go with the visit, not before. */
export function markBlobSent(person, sha256) {
  return use(of(person), async (db) => {
    const tx = db.transaction("meta", "readwrite", STRICT)
    const photos = await tx.store.get(PHOTOS)
    tx.store.put({ ...photos, [sha256]: { ...photos[sha256], sent: true } }, PHOTOS)
    await tx.done
  })
}
