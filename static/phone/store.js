// @ts-check
/**
 * What this phone keeps: one small database of the phone, and one of each person who signed in.
 *
 * `outbox` is frozen: its rows are the only copy of somebody's work. Everything else can be pulled
 * again. An operation is written, with its id and counter, in one strict transaction; who asked for
 * it is answered after that transaction completed.
 */
import { openDB } from "../vendor/idb.js"
import { Problem } from "./problem.js"

const VERSION = 1
const DAY_MS = 24 * 60 * 60 * 1000
/** How long an operation stays after its receipt: a server restored from a backup may ask again. */
const KEEP_MS = 30 * DAY_MS
/** How long a visit that was taken away stays unseen: a form left open overnight may still come. */
const UNSEEN_MS = DAY_MS

/** How long a database may take to open. */
const OPEN_MS = 10_000
/**
 * Kept for nothing but to be given up, in bytes: operations are small and must always find room,
 * and browsers do not tell how much is really left.
 */
const BALLAST_BYTES = 2 * 1024 * 1024
const BALLAST = "ballast"
/** As much as browsers make at a time. */
const CHANCE_BYTES = 65_536

/** The revision of a visit that was opened here and has not come back from the office yet. */
export const UNHEARD_OF = 0

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
    const opening = inTime(opened(name))
    opening.catch(() => open.delete(name))
    open.set(name, opening)
  }
  return open.get(name)
}

/** The database, whichever version made it: later ones only add stores. */
async function opened(name) {
  const events = {
    // Another tab wants to upgrade: an open connection would make it wait for ever.
    blocking: () => forget(name),
    terminated: () => open.delete(name),
  }
  try {
    return await openDB(name, VERSION, { upgrade: (db) => create(db, name), ...events })
  } catch (error) {
    if (error?.name !== "VersionError") throw error
    return openDB(name, undefined, events)
  }
}

function create(db, name) {
  if (name === PHONE) {
    db.createObjectStore("settings")
    return
  }
  db.createObjectStore("outbox", { keyPath: "id" }).createIndex("visit", "visit")
  db.createObjectStore("visits", { keyPath: "visit" })
  db.createObjectStore("blobs", { keyPath: "sha256" })
  db.createObjectStore("meta")
}

/** Nobody waits for ever behind a window that does not let go: Problem("phone.blocked"). */
function inTime(opening) {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Problem("phone.blocked")), OPEN_MS)
  })
  opening.then((db) => late.catch(() => db.close()), () => {})
  return Promise.race([opening, late]).finally(() => clearTimeout(timer))
}

async function forget(name) {
  const opening = open.get(name)
  open.delete(name)
  ;(await opening)?.close()
}

const PHONE = "fieldapp"
const of = (person) => `fieldapp-${person}`
const STRICT = { durability: /** @type {const} */ ("strict") }

/** A setting of the phone: `person` {id, name} who is signed in, `people` who ever were, `language`. */
export function readSetting(key) {
  return use(PHONE, (db) => db.get("settings", key))
}

export function writeSetting(key, value) {
  return use(PHONE, (db) => db.put("settings", value, key))
}

/** Write several settings in one transaction: whoever reads afterwards sees all of them. */
export function writeSettings(settings) {
  return use(PHONE, async (db) => {
    const tx = db.transaction("settings", "readwrite", STRICT)
    for (const [key, value] of Object.entries(settings)) tx.store.put(value, key)
    await tx.done
  })
}

/** Everybody who signed in on this phone, `[{id, name}]`: each has a database of his own. */
export async function readPeople() {
  return (await readSetting("people")) ?? []
}

/** Add somebody to the people of this phone. */
export function rememberPerson({ id, name }) {
  return use(PHONE, async (db) => {
    const tx = db.transaction("settings", "readwrite", STRICT)
    const people = (await tx.store.get("people")) ?? []
    const known = people.find((each) => each.id === id)
    if (known?.name !== name) {
      tx.store.put([...people.filter((each) => each.id !== id), { id, name }], "people")
    }
    await tx.done
  })
}

/** What is noted for a person: device, credential, epoch, cursor, skew, policy… */
export function readMeta(person, key) {
  return use(of(person), (db) => db.get("meta", key))
}

/** Several of them at one time, by name. */
export function readNotes(person, keys) {
  return use(of(person), async (db) => {
    const { store } = db.transaction("meta")
    const found = await Promise.all(keys.map((key) => store.get(key)))
    return Object.fromEntries(keys.map((key, index) => [key, found[index]]))
  })
}

/** Let `change` make a note anew from what it is, in one transaction; nothing in it may wait. */
export function changeNote(person, key, change) {
  return use(of(person), async (db) => {
    const tx = db.transaction("meta", "readwrite", STRICT)
    tx.store.put(change(await tx.store.get(key)), key)
    await tx.done
  })
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
 * envelope with its id; nothing that waits may happen in it. `state` is that of a visit which this
 * operation opens: until the office tells of it, the visit is here under the revision 0.
 */
export async function keepOperation(person, make, state) {
  let body // made once: a second try after a lost connection writes the same operation
  const write = async (db) => {
    const tx = db.transaction(["outbox", "meta", "visits"], "readwrite", STRICT)
    const meta = tx.objectStore("meta")
    const [counter, device, skew] = await Promise.all(
      ["counter", "device", "skew"].map((key) => meta.get(key)),
    )
    body ??= make({ n: (counter ?? 0) + 1, device, skew: skew ?? 0 })
    const { id, visit, n } = body
    meta.put(Math.max(counter ?? 0, n), "counter")
    tx.objectStore("outbox").put({ id, visit, n, body, state: "unsent" })
    if (state) tx.objectStore("visits").put({ visit, rev: UNHEARD_OF, state })
    await tx.done
    return body
  }
  try {
    return await use(of(person), write)
  } catch (error) {
    if (!isFull(error)) throw error
  }
  await makeRoom(person, [BALLAST])
  try {
    return await use(of(person), write)
  } catch (error) {
    throw isFull(error) ? new Problem("phone.no-room") : error
  }
}

/**
 * This phone has become a new device of the person: its counter starts again. What earlier devices
 * left unsent keeps their id, and stays before everything new: `devices` is their order.
 */
export function startDevice(person, { device, credential, epoch, skew }) {
  return use(of(person), async (db) => {
    const tx = db.transaction("meta", "readwrite", STRICT)
    const [earlier, last, known] = await Promise.all(
      ["devices", "device", "epoch"].map((key) => tx.store.get(key)),
    )
    const devices = [...(earlier ?? [last].filter(Boolean)), device]
    // A known epoch stays: when it has changed, the next answer makes everything go again.
    const notes = { device, credential, devices, skew, counter: 0, epoch: known ?? epoch }
    Object.assign(notes, { paused: "", wiped: null })
    for (const [key, value] of Object.entries(notes)) tx.store.put(value, key)
    await tx.done
  })
}

/** Rows of the outbox, of one visit or of all, in the order they were made. */
export function readOutbox(person, visit) {
  return use(of(person), async (db) => {
    const rows =
      visit === undefined
        ? await db.getAll("outbox")
        : await db.getAllFromIndex("outbox", "visit", visit)
    const devices = (await db.get("meta", "devices")) ?? []
    const place = (row) => devices.indexOf(row.body.device)
    return rows.sort((a, b) => place(a) - place(b) || a.n - b.n)
  })
}

/** Everything the server has not confirmed: rows of the outbox, and photos without their bytes. */
export async function readUnsent(person) {
  const [rows, photos] = await Promise.all([readOutbox(person), readUnsentPhotos(person)])
  return { operations: rows.filter((row) => row.state === "unsent"), photos }
}

/**
 * The server named these operations: `receipts` as they came. How long they have been held is
 * counted on the server's clock, `notes.server_now`: a phone's may jump by years.
 */
export function keepReceipts(person, receipts, notes) {
  return use(of(person), async (db) => {
    const tx = db.transaction(["outbox", "meta"], "readwrite", STRICT)
    const outbox = tx.objectStore("outbox")
    for (const receipt of receipts) {
      const row = await outbox.get(receipt.id)
      if (row?.state === "unsent") outbox.put({ ...row, state: "held", receipt, at: notes.server_now })
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
 * transaction. A visit that left the scope is only marked: `tidy` lets it go. What was sent of it
 * is not settled: its state does not come any more, so the operations go on showing themselves; as
 * do those of a visit that was opened here as long as the office does not tell of it.
 */
export function keepPull(person, { changed, removed, settled, notes }) {
  return use(of(person), async (db) => {
    const tx = db.transaction(["visits", "outbox", "meta"], "readwrite", STRICT)
    const [visits, outbox] = [tx.objectStore("visits"), tx.objectStore("outbox")]
    for (const row of changed) visits.put(row)
    for (const { visit, reason } of removed) {
      const row = await visits.get(visit)
      const removed_at = notes.server_now
      if (row && !row.removed) visits.put({ ...row, removed: reason, removed_at })
    }
    for (const id of settled) {
      const row = await outbox.get(id)
      // Meanwhile unsent again, after a restored backup: then this pull settled nothing.
      if (row?.state !== "held") continue
      const visit = await visits.get(row.visit)
      const isPulled = !visit?.removed && visit?.rev !== UNHEARD_OF
      if (isPulled) outbox.put({ ...row, state: "settled" })
    }
    for (const [key, value] of Object.entries(notes)) tx.objectStore("meta").put(value, key)
    await tx.done
  })
}

/**
 * Let go of what has been sent whole: visits that left the scope, photos of those and of accepted
 * ones, and operations; the last two when the server has held them for KEEP_MS. A form that was
 * open when its visit left is still saved: the visit stays, unseen, while a page of it is `open`,
 * and for a day.
 * @param {string} person
 * @param {Set<string>} open ids of the visits that pages show
 */
export function tidy(person, open) {
  return use(of(person), async (db) => {
    const tx = db.transaction(["visits", "outbox", "blobs", "meta"], "readwrite", STRICT)
    const here = await contentsOf(tx)
    const stays = new Set()
    for (const row of here.rows) {
      const isGone = row.removed && !here.waiting.has(row.visit) && !open.has(row.visit)
      if (isGone && row.removed_at < here.now - UNSEEN_MS) tx.objectStore("visits").delete(row.visit)
      else stays.add(row.visit)
    }
    dropPhotos(tx, here, here.now - KEEP_MS)
    for (const { id, visit, state, at } of here.operations) {
      const isDone = state === "settled" || (state === "held" && !stays.has(visit))
      if (isDone && (at ?? 0) < here.now - KEEP_MS) tx.objectStore("outbox").delete(id)
    }
    await tx.done
  })
}

/** Of what is noted for a person, all that a revoked phone still needs to send its rest. */
const NEEDED = ["counter", "device", "devices", "epoch", "heard_at", "paused", "pin", "reached",
  "server_now", "skew", "tried_at", "tries"]

/**
 * The office revoked this phone: nothing stays but what it has not confirmed, and what is needed to
 * send that. Done again after every further answer, so that what was sent meanwhile goes too.
 */
export function wipe(person) {
  return use(of(person), async (db) => {
    const tx = db.transaction(["visits", "outbox", "blobs", "meta"], "readwrite", STRICT)
    const [outbox, blobs, meta] = ["outbox", "blobs", "meta"].map((name) => tx.objectStore(name))
    const { operations, photos, now } = await contentsOf(tx)
    const [credential, names, keys] = await Promise.all([
      meta.get("credential"),
      blobs.getAllKeys(),
      meta.getAllKeys(),
    ])
    const unsent = Object.fromEntries(Object.entries(photos).filter(([, { sent }]) => !sent))
    tx.objectStore("visits").clear()
    for (const { id, state } of operations) if (state !== "unsent") outbox.delete(id)
    for (const name of names) if (!Object.hasOwn(unsent, name)) blobs.delete(name)
    for (const key of keys) if (!NEEDED.includes(key)) meta.delete(key)
    meta.put({ at: now }, "wiped")
    meta.put(unsent, PHOTOS)
    // Without anything to send the credential opens nothing that is still wanted.
    const isWaiting = operations.some(({ state }) => state === "unsent") || Object.keys(unsent).length
    if (isWaiting) meta.put(credential, "credential")
    await tx.done
  })
}

/** All there is but the bytes of photos; `now` is the server's clock when it was last heard. */
async function contentsOf(tx) {
  const meta = tx.objectStore("meta")
  const [rows, operations, photos, now] = await Promise.all([
    tx.objectStore("visits").getAll(),
    tx.objectStore("outbox").getAll(),
    meta.get(PHOTOS),
    meta.get("server_now"),
  ])
  const waiting = waitingVisits(operations, Object.values(photos ?? {}))
  return { rows, operations, photos: photos ?? {}, now: now ?? 0, waiting }
}

/** Delete photos that the server has held since `before`, of visits that are over for this phone. */
function dropPhotos(tx, { rows, photos, waiting }, before) {
  const isOver = (row) => row.removed || row.state.visit.status === "accepted"
  const working = new Set(rows.filter((row) => !isOver(row)).map((row) => row.visit))
  const kept = { ...photos }
  for (const [sha256, { visit, sent, sent_at }] of Object.entries(photos)) {
    if (!sent || waiting.has(visit) || working.has(visit) || (sent_at ?? 0) > before) continue
    tx.objectStore("blobs").delete(sha256)
    delete kept[sha256]
  }
  tx.objectStore("meta").put(kept, PHOTOS)
}

/** Ids of the visits of which something is still to be sent. */
export function waitingVisits(operations, photos) {
  const unsent = [
    ...operations.filter((row) => row.state === "unsent"),
    ...photos.filter((photo) => !photo.sent),
  ]
  return new Set(unsent.map(({ visit }) => visit))
}

/**
 * Keep a photo. Bytes, not a Blob: some phones lose Blobs in their databases.
 * Problem("photo.no-room") when it does not fit.
 */
export async function keepBlob(person, blob) {
  const write = async (db) => {
    const tx = db.transaction(["blobs", "meta"], "readwrite", STRICT)
    const [blobs, meta] = [tx.objectStore("blobs"), tx.objectStore("meta")]
    const photos = (await meta.get(PHOTOS)) ?? {}
    if (!photos[blob.sha256]) {
      blobs.put(blob)
      const { visit, bytes } = blob
      meta.put({ ...photos, [blob.sha256]: { visit, sent: false, size: bytes.byteLength } }, PHOTOS)
    }
    await tx.done
  }
  try {
    return await use(of(person), write)
  } catch (error) {
    if (!isFull(error)) throw error
  }
  await makeRoom(person, [])
  try {
    return await use(of(person), write)
  } catch (error) {
    throw isFull(error) ? new Problem("photo.no-room") : error
  }
}

function isFull(error) {
  return error?.name === "QuotaExceededError"
}

/** Photos that the server holds, of visits that are over, go before their time; `others` too. */
function makeRoom(person, others) {
  return use(of(person), async (db) => {
    const tx = db.transaction(["visits", "outbox", "blobs", "meta"], "readwrite", STRICT)
    dropPhotos(tx, await contentsOf(tx), Infinity)
    for (const name of others) tx.objectStore("blobs").delete(name)
    await tx.done
  }).catch((error) => {
    if (!isFull(error)) throw error
  })
}

/** Lay by what `keepOperation` gives up on a full phone. */
export function layBallast(person) {
  return use(of(person), async (db) => {
    if (await db.count("blobs", BALLAST)) return
    const bytes = new Uint8Array(BALLAST_BYTES) // of chance: zeros would be packed to nothing
    for (let at = 0; at < bytes.length; at += CHANCE_BYTES) {
      crypto.getRandomValues(bytes.subarray(at, at + CHANCE_BYTES))
    }
    await db.put("blobs", { sha256: BALLAST, bytes: bytes.buffer })
  }).catch((error) => {
    if (!isFull(error)) throw error
  })
}

export function readBlob(person, sha256) {
  return use(of(person), (db) => db.get("blobs", sha256))
}

/** Photos the server does not hold yet, without their bytes: every page counts them. */
export async function readUnsentPhotos(person) {
  const photos = Object.entries((await readMeta(person, PHOTOS)) ?? {})
  return photos
    .filter(([, photo]) => !photo.sent)
    .map(([sha256, { visit, size }]) => ({ sha256, visit, size: size ?? 0 }))
}

/** The server holds this photo. The local bytes go when the visit is over: see `tidy`. */
export function markBlobSent(person, sha256) {
  return use(of(person), async (db) => {
    const tx = db.transaction("meta", "readwrite", STRICT)
    const [photos, sent_at] = await Promise.all([PHOTOS, "server_now"].map((key) => tx.store.get(key)))
    tx.store.put({ ...photos, [sha256]: { ...photos[sha256], sent: true, sent_at } }, PHOTOS)
    await tx.done
  })
}
