// @ts-check
/**
 * Push, pull, photos: behind the pages, never in their way.
 *
 * An operation leaves the outbox only for a receipt that names it, in an answer of our media type
 * and protocol; a captive portal's page is no receipt. Work of everybody who used this phone is
 * pushed, each with the credential of his own; only who is signed in is told anything new.
 */
import { sha256 } from "./canonical.js"
import { mediaType, protocol } from "./generated.js"
import { noteForgotten, openByPassword } from "./lock.js"
import { hashed } from "./perform.js"
import { Problem } from "./problem.js"
import {
  keepPull,
  keepReceipts,
  layBallast,
  markBlobSent,
  readBlob,
  readMeta,
  readNotes,
  readOutbox,
  readPeople,
  readSetting,
  readUnsent,
  readUnsentPhotos,
  readVisits,
  rememberPerson,
  startDevice,
  tidy,
  UNHEARD_OF,
  unsendAll,
  wipe,
  writeMeta,
  writeSetting,
  writeSettings,
} from "./store.js"

const BATCH = 100
const HOUR_MS = 60 * 60 * 1000
const PIECE_BYTES = 512 * 1024
/** The server knows this phone no longer: after the next sign-in it is enrolled as a new one. */
const DEVICE_ENDED = { "access.revoked": "revoked", "access.missing-device": "unknown" }
const TOO_LARGE = 413
/** Answers about the phone or the moment, not about what was sent: nothing else is tried now. */
const STOPS = [401, 403, 429, 503]

/** Nobody could be reached, or the connection broke. */
class NoNetwork extends Error {}

/** The server answered something that is no answer of ours, or refused; what is here stays. */
class NoAnswer extends Error {
  /**
   * @param {number} status
   * @param {string} code
   * @param {boolean} isOurs whether the server itself said so
   * @param {string} device the phone it speaks of, where it says so
   */
  constructor(status, code, isOurs = false, device = "") {
    super(`${status} ${code}`)
    this.device = device
    this.status = status
    this.code = code
    this.isOurs = isOurs
  }
}

/**
 * Enrol this phone for the person signed in, unless it is already, and make it his.
 * @param {{id: string, name: string}} person
 * @param {string} language
 * @param {{before?: any, isFresh?: boolean}} told `before` is what the browser remembers of a phone
 *   of this person whose storage is gone; `isFresh` says that he has just given his password
 */
export async function enrol(person, language, { before, isFresh } = {}) {
  if (await readSetting("signing_out")) throw new Problem("access.sign-in")
  const { credential, wiped, device } = await readNotes(person.id, ["credential", "wiped", "device"])
  if (wiped) await newDevice(person, { replaces: device, reason: "revoked" })
  else if (!credential) {
    const about = before?.device ? { replaces: before.device, reason: "evicted" } : {}
    const { emptied } = await newDevice(person, about)
    if (before?.device || emptied) await writeMeta(person.id, { emptied: lost(before, emptied) })
  }
  if (isFresh) await openByPassword(person.id)
  await writeSettings({ language, person })
  await rememberPerson(person)
  await synchronise({ isPatient: true })
  const ended = DEVICE_ENDED[await readMeta(person.id, "paused")]
  if (!ended || !isFresh) return
  await newDevice(person, { replaces: await readMeta(person.id, "device"), reason: ended })
  await synchronise({ isPatient: true })
}

/** What is known of a store that was emptied: by the page's own note, by the office's. */
function lost(before, emptied) {
  const heard_at = Math.max(before?.heard_at ?? 0, emptied?.heard_at ?? 0)
  return { at: Date.now(), heard_at, unsent: before?.unsent ?? 0 }
}

/** Enrol; resolves to what the server answers. `emptied` is there when it knew this browser. */
async function newDevice(person, about) {
  const body = JSON.stringify(about)
  const headers = { "Content-Type": mediaType }
  const response = await ask("/sync/devices", { method: "POST", headers, body })
  const told = await answer(response)
  const { device, credential, epoch, now } = told
  await startDevice(person.id, { device, credential, epoch, skew: now - Date.now() })
  return told
}

/** Nobody is signed in on this phone any more. What is not sent stays, under its owner's name. */
export async function lock() {
  const [person] = await Promise.all([
    readSetting("person"),
    writeSettings({ signing_out: true, person: null }),
  ])
  if (person) await noteForgotten(person.id)
}

/**
 * End the session that signing out without signal left behind: its cookie would open the phone
 * again without a password. Rejects while there is no network.
 */
export async function finishSigningOut() {
  if (!(await readSetting("signing_out"))) return
  await fetch("/sign-out", { method: "POST", redirect: "manual" })
  await writeSetting("signing_out", false)
}

/**
 * Send what is here, then ask what is new; one at a time over all tabs.
 * @param {{open?: Set<string>, isPatient?: boolean, tell?: () => void}} how `open` are the visits
 *   that pages show; who is patient waits for a sync that is under way, and then syncs himself;
 *   `tell` is called while it goes on, when there is something new to show
 * @returns {Promise<boolean>} whether anything that pages show changed
 */
export async function synchronise({ open = new Set(), isPatient = false, tell = () => {} } = {}) {
  const options = isPatient ? {} : { ifAvailable: true }
  return navigator.locks.request("fieldapp-sync", options, async (lock) => {
    if (!lock) return false
    const current = await readSetting("person")
    if (current) await rememberPerson(current)
    let any = false
    for (const person of await readPeople()) {
      const isCurrent = person.id === current?.id
      const changed = await exchange(person, isCurrent, isCurrent ? tell : () => {})
      await tidy(person.id, isCurrent ? open : new Set())
      if (isCurrent && !(await readMeta(person.id, "wiped"))) await layBallast(person.id)
      any ||= changed
    }
    return any
  })
}

/** One person's turn: his push, and when he is the one signed in all the rest of it. */
async function exchange(person, isCurrent, tell) {
  const { paused: last, wiped, credential, device } = await readNotes(person.id, [
    "paused",
    "wiped",
    "credential",
    "device",
  ])
  if (wiped && !credential) return false // nothing is left to be sent
  const before = last ?? ""
  const notes = { tried_at: Date.now(), reached: true }
  let [changed, paused, isRevoked] = [false, "", false]
  try {
    for (const step of isCurrent ? [push, pull, pushBlobs] : [push, pushBlobs, askStanding]) {
      const told = await attempt(step, person, tell)
      changed ||= told.changed
      isRevoked ||= told.code === "access.revoked" && told.device === device
      paused = graver(paused, told.code)
      if (step === pushBlobs && told.changed && isCurrent) await attempt(pull, person)
    }
  } catch (error) {
    if (error instanceof NoNetwork) notes.reached = false
    else if (error instanceof NoAnswer) paused = graver(paused, error.code)
    else paused = "phone.failed"
    if (paused === "phone.failed") console.error(error)
  }
  // Nothing was learned while nobody was reached; of somebody else nothing was asked.
  const isKnown = paused || (notes.reached && isCurrent)
  await writeMeta(person.id, { ...notes, ...(isKnown && { paused }) })
  // Only our own server's word about this very phone: nobody else can make it forget anything.
  if (isRevoked) await wipe(person.id)
  return changed || (isCurrent && Boolean(isKnown) && paused !== before)
}

/** Of two reasons the one that asks for a person; else the first. */
function graver(one, other) {
  const needsPerson = (code) => code.startsWith("access.")
  return one && (needsPerson(one) || !needsPerson(other)) ? one : other
}

/** One step; what the server itself refuses of it does not hold up the next. */
async function attempt(step, person, tell) {
  try {
    return { changed: await step(person, tell), code: "", device: "" }
  } catch (error) {
    if (!(error instanceof NoAnswer) || !(error.isOurs || isAbout(error))) throw error
    return { changed: true, code: error.code, device: error.isOurs ? error.device : "" }
  }
}

/**
 * Every unsent operation, in batches. One that the server cannot take, alone as it is, stays here
 * and does not hold up the others.
 */
async function push(person) {
  const refused = new Map()
  let [size, any, isFirst] = [BATCH, false, true]
  let trouble = null
  for (;;) {
    const rows = (await readOutbox(person.id)).filter((row) => row.state === "unsent")
    const batch = rows.filter((row) => !refused.has(row.id)).slice(0, size)
    if (!batch.length) break
    const operations = await Promise.all(batch.map(({ body }) => hashed(body)))
    const standing = await standingOf(person, batch.length)
    let told
    try {
      told = await send(person, "/sync/push", { now: Date.now(), ...standing, operations })
    } catch (error) {
      if (!isAbout(error)) throw error
      // Twice in a row, and nothing taken in between: it is the server, not the operation.
      if (batch.length === 1 && error.status >= 500 && trouble && isFirst) throw error
      if (batch.length === 1) {
        refused.set(batch[0].id, error.code)
        ;[trouble, isFirst] = [error, true]
      }
      size = Math.max(1, Math.ceil(batch.length / 2))
      continue
    }
    isFirst = false
    const named = new Set(batch.map((row) => row.id))
    const receipts = told.receipts.filter((receipt) => named.has(receipt.id) && isWhole(receipt))
    if (!receipts.length) throw new NoAnswer(200, "answer.empty", true)
    await keepReceipts(person.id, receipts, heard(told))
    await notice(person, told.epoch)
    any = true
    size = Math.min(BATCH, size * 2)
  }
  await writeMeta(person.id, { refused_operations: Object.fromEntries(refused) })
  if (trouble) throw trouble
  return any
}

/** A copy that was damaged on its way is not the operation: the whole one goes again. */
function isWhole({ reasons }) {
  return !reasons?.includes("operation.hash-mismatch")
}

/** Whether a refusal is about what was sent. A proxy before the server may find it too large. */
function isAbout(error) {
  if (!(error instanceof NoAnswer)) return false
  return error.status === TOO_LARGE || (error.isOurs && !STOPS.includes(error.status))
}

/** What the server is told of this phone: its highest counter, and what will still be unsent. */
async function standingOf(person, sending = 0) {
  const high = (await readMeta(person.id, "counter")) ?? 0
  const { operations, photos } = await readUnsent(person.id)
  return { high, unsent: operations.length + photos.length - sending }
}

/** What every answer of the server tells of the time. */
function heard({ now }) {
  return { skew: now - Date.now(), heard_at: Date.now(), server_now: now }
}

/**
 * What a page notes outside this store, so that an emptied one is noticed: null while nobody is
 * signed in.
 */
export async function standingHere() {
  const person = await readSetting("person")
  if (!person) return null
  const [device, heard_at] = await Promise.all([
    readMeta(person.id, "device"),
    readMeta(person.id, "heard_at"),
  ])
  return { person: person.id, device, heard_at, ...(await standingOf(person)) }
}

/** A new epoch: the server was restored from a backup and may have lost what it had confirmed. */
async function notice(person, epoch) {
  const known = await readMeta(person.id, "epoch")
  if (known === epoch) return
  if (known) await unsendAll(person.id)
  await writeMeta(person.id, { epoch, cursor: "" })
}

/**
 * Every photo that the server does not hold; one that it cannot take does not hold up the others.
 * `tell` is called after each that arrived.
 */
async function pushBlobs(person, tell) {
  const refused = {}
  let [any, trouble] = [false, null]
  for (const { sha256: name } of await readUnsentPhotos(person.id)) {
    const blob = await readBlob(person.id, name)
    if (!blob) continue // its bytes are gone: it stays listed as to come
    try {
      await pushBlob(person, name, blob.bytes)
      any = true
      tell()
    } catch (error) {
      if (!isAbout(error)) throw error
      refused[name] = error.code
      trouble = error
    }
  }
  await writeMeta(person.id, { sending: null, refused_photos: refused })
  if (trouble) throw trouble
  return any
}

async function pushBlob(person, name, bytes) {
  const headers = await authority(person)
  const head = await ask(`/sync/blobs/${name}`, { method: "HEAD", headers })
  const isOurs = head.headers.get("Fieldapp-Protocol") !== null
  if (!isOurs || !head.ok) throw new NoAnswer(head.status, "answer.not-ours", isOurs)
  let offset = Number(head.headers.get("Upload-Offset"))
  let complete = head.headers.get("Upload-Complete") === "1"
  while (!complete) {
    await writeMeta(person.id, { sending: { sha256: name, received: offset } })
    const response = await ask(`/sync/blobs/${name}`, {
      method: "PUT",
      headers: {
        ...headers,
        "Content-Type": "application/octet-stream",
        "Upload-Offset": String(offset),
        "Upload-Length": String(bytes.byteLength),
      },
      body: bytes.slice(offset, offset + PIECE_BYTES),
    })
    const told = await answer(response)
    if (!told.complete && told.received <= offset) throw new NoAnswer(200, "answer.empty", true)
    offset = told.received
    complete = told.complete
  }
  await markBlobSent(person.id, name)
}

async function pull(person) {
  let any = false
  let difference
  for (;;) {
    const [cursor, policy, blank, rows, standing] = await Promise.all([
      readMeta(person.id, "cursor"),
      readMeta(person.id, "policy_version"),
      readMeta(person.id, "blank"),
      readOutbox(person.id),
      standingOf(person),
    ])
    const held = rows.filter((row) => row.state === "held").map((row) => row.id)
    const asked = { cursor, policy, blank: blank?.sha256, held: difference, ...standing }
    const told = await send(person, "/sync/pull", asked)
    await notice(person, told.epoch)
    const notes = { cursor: told.cursor, ...heard(told) }
    if (told.policy) Object.assign(notes, { policy: told.policy, policy_version: told.policy_version })
    if (told.blank) notes.blank = told.blank
    const settled = told.more ? [] : held
    await keepPull(person.id, { changed: told.changed, removed: told.removed, settled, notes })
    any ||= told.changed.length > 0 || told.removed.length > 0
    if (told.more) continue
    const active = await readActive(person)
    if (difference || told.digest === (await digest(active))) return any
    difference = Object.fromEntries(active.map((row) => [row.visit, row.rev]))
  }
}

/**
 * Who is signed out is told nothing new, only whether his phone was revoked: what lies here of him is
 * to go then too. Asked once an hour.
 */
async function askStanding(person) {
  const { cursor, asked_at, server_now } = await readNotes(person.id, [
    "cursor",
    "asked_at",
    "server_now",
  ])
  const since = Date.now() - (asked_at ?? 0)
  if (!server_now || (since >= 0 && since < HOUR_MS)) return false
  try {
    await send(person, "/sync/pull", { cursor, ...(await standingOf(person)) })
  } catch (error) {
    if (!(error instanceof NoAnswer) || error.code !== "access.sign-in") throw error
  }
  await writeMeta(person.id, { asked_at: Date.now() })
  return false
}

/** The visits in the person's scope: without those that only wait to be sent, first or last. */
async function readActive(person) {
  return (await readVisits(person.id)).filter((row) => !row.removed && row.rev !== UNHEARD_OF)
}

/** SHA-256 over the visits and revisions held here; twin of `digest` in sync/protocol.py. */
function digest(rows) {
  return sha256(rows.map((row) => `${row.visit} ${row.rev}`).sort().join("\n"))
}

async function send(person, url, body) {
  const headers = { ...(await authority(person)), "Content-Type": mediaType }
  const text = JSON.stringify({ protocol, ...body })
  return answer(await ask(url, { method: "POST", headers, body: text }))
}

/** What fetch answers; NoNetwork when it rejects. Elsewhere a TypeError is a fault of this code. */
async function ask(url, options) {
  try {
    return await fetch(url, { redirect: "manual", cache: "no-store", ...options })
  } catch (error) {
    throw new NoNetwork(error.message)
  }
}

async function authority(person) {
  return { Authorization: `Device ${await readMeta(person.id, "credential")}` }
}

/** The JSON of an answer of ours; NoAnswer for everything else. */
async function answer(response) {
  const type = (response.headers.get("Content-Type") ?? "").split(";")[0]
  if (type !== mediaType) throw new NoAnswer(response.status, "answer.not-ours")
  let body
  try {
    body = await response.json()
  } catch (error) {
    throw new NoNetwork(error.message) // broken off in the middle
  }
  if (body?.protocol !== protocol) throw new NoAnswer(response.status, "answer.protocol")
  if (!response.ok) throw new NoAnswer(response.status, body.problem, true, body.args?.device)
  return body
}
