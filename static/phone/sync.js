// @ts-check
/**
 * Push, blobs, pull: behind the pages, never in their way.
 *
 * An operation leaves the outbox only for a receipt that names it, in an answer of our media type
 * and protocol; a captive portal's page is no receipt.
 */
import { hashOf, sha256 } from "./canonical.js"
import { mediaType, protocol } from "./generated.js"
import { Problem } from "./problem.js"
import {
  keepPull,
  keepReceipts,
  markBlobSent,
  readBlob,
  readMeta,
  readOutbox,
  readSetting,
  readUnsentPhotos,
  readVisits,
  unsendAll,
  writeMeta,
  writeSetting,
} from "./store.js"

const BATCH = 100
const PIECE_BYTES = 512 * 1024

/** The server answered something that is no answer of ours, or refused; what is here stays. */
class NoAnswer extends Error {
  /**
   * @param {number} status
   * @param {string} code
   */
  constructor(status, code) {
    super(`${status} ${code}`)
    this.status = status
    this.code = code
  }
}

/**
 * Enrol this phone for the person signed in, unless it is already, and make it his.
 * @param {{id: string, name: string}} person
 * @param {string} language
 */
export async function enrol(person, language) {
  if (await readSetting("signing_out")) throw new Problem("access.sign-in")
  if (!(await readMeta(person.id, "credential"))) {
    const response = await fetch("/sync/devices", { method: "POST", redirect: "error" })
    const { device, credential, epoch, now } = await answer(response)
    await writeMeta(person.id, { device, credential, epoch, skew: now - Date.now() })
  }
  await writeSetting("language", language)
  await writeSetting("person", person)
  await synchronise()
}

/** Nobody is signed in on this phone any more. What is not sent stays, under its owner's name. */
export async function lock() {
  await writeSetting("signing_out", true)
  await writeSetting("person", null)
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
 * @returns {Promise<boolean>} whether anything that pages show changed
 */
export async function synchronise() {
  const person = await readSetting("person")
  if (!person) return false
  return navigator.locks.request("fieldapp-sync", { ifAvailable: true }, async (lock) => {
    if (!lock) return false
    let changed = false
    try {
      changed = await push(person)
      changed = (await pushBlobs(person)) || changed
      changed = (await pull(person)) || changed
      await writeMeta(person.id, { paused: "" })
      return changed
    } catch (error) {
      if (error instanceof TypeError) return changed // fetch rejects with it: no network
      if (!(error instanceof NoAnswer)) throw error
      await writeMeta(person.id, { paused: error.code })
      return true
    }
  })
}

async function push(person) {
  let size = BATCH
  let any = false
  for (;;) {
    const rows = (await readOutbox(person.id)).filter((row) => row.state === "unsent")
    if (!rows.length) return any
    const batch = rows.slice(0, size)
    const operations = await Promise.all(
      batch.map(async ({ body }) => ({ ...body, hash: await hashOf(body) })),
    )
    const high = (await readMeta(person.id, "counter")) ?? 0
    let told
    try {
      told = await send(person, "/sync/push", { now: Date.now(), high, operations })
    } catch (error) {
      if (!(error instanceof NoAnswer) || error.status !== 413 || size === 1) throw error
      size = Math.ceil(size / 2)
      continue
    }
    const named = new Set(batch.map((row) => row.id))
    const receipts = told.receipts.filter((receipt) => named.has(receipt.id))
    if (!receipts.length) throw new NoAnswer(200, "push.no-receipt")
    await keepReceipts(person.id, receipts, { skew: told.now - Date.now() })
    await notice(person, told.epoch)
    any = true
  }
}

/** A new epoch: the server was restored from a backup and may have lost what it had confirmed. */
async function notice(person, epoch) {
  const known = await readMeta(person.id, "epoch")
  if (known === epoch) return
  if (known) await unsendAll(person.id)
  await writeMeta(person.id, { epoch, cursor: "" })
}

async function pushBlobs(person) {
  const photos = await readUnsentPhotos(person.id)
  for (const { sha256: name } of photos) {
    const { bytes } = await readBlob(person.id, name)
    const headers = await authority(person)
    const head = await fetch(`/sync/blobs/${name}`, { method: "HEAD", headers, ...PLAIN })
    if (!head.headers.get("Fieldapp-Protocol")) throw new NoAnswer(head.status, "blob.no-answer")
    let offset = Number(head.headers.get("Upload-Offset"))
    let complete = head.headers.get("Upload-Complete") === "1"
    while (!complete) {
      const response = await fetch(`/sync/blobs/${name}`, {
        method: "PUT",
        headers: {
          ...headers,
          "Content-Type": "application/octet-stream",
          "Upload-Offset": String(offset),
          "Upload-Length": String(bytes.byteLength),
        },
        body: bytes.slice(offset, offset + PIECE_BYTES),
        ...PLAIN,
      })
      const told = await answer(response)
      offset = told.received
      complete = told.complete
    }
    await markBlobSent(person.id, name)
  }
  return photos.length > 0
}

async function pull(person) {
  let any = false
  let difference
  for (;;) {
    const [cursor, policy, rows] = await Promise.all([
      readMeta(person.id, "cursor"),
      readMeta(person.id, "policy_version"),
      readOutbox(person.id),
    ])
    const held = rows.filter((row) => row.state === "held").map((row) => row.id)
    const told = await send(person, "/sync/pull", { cursor, policy, held: difference })
    await notice(person, told.epoch)
    const notes = { cursor: told.cursor, pulled_at: Date.now(), skew: told.now - Date.now() }
    if (told.policy) Object.assign(notes, { policy: told.policy, policy_version: told.policy_version })
    const settled = told.more ? [] : held
    await keepPull(person.id, { changed: told.changed, removed: told.removed, settled, notes })
    any ||= told.changed.length > 0 || told.removed.length > 0
    if (told.more) continue
    if (difference || told.digest === (await digest(person))) return any
    difference = Object.fromEntries(
      (await readVisits(person.id)).map((row) => [row.visit, row.rev]),
    )
  }
}

/** SHA-256 over the visits and revisions held here; twin of `digest` in sync/protocol.py. */
async function digest(person) {
  const rows = (await readVisits(person.id)).filter((row) => !row.removed)
  const lines = rows.map((row) => `${row.visit} ${row.rev}`).sort()
  return sha256(lines.join("\n"))
}

const PLAIN = /** @type {const} */ ({ redirect: "error", cache: "no-store" })

async function send(person, url, body) {
  const response = await fetch(url, {
    method: "POST",
    headers: { ...(await authority(person)), "Content-Type": mediaType },
    body: JSON.stringify({ protocol, ...body }),
    ...PLAIN,
  })
  return answer(response)
}

async function authority(person) {
  return { Authorization: `Device ${await readMeta(person.id, "credential")}` }
}

/** The JSON of an answer of ours; NoAnswer for everything else. */
async function answer(response) {
  const type = (response.headers.get("Content-Type") ?? "").split(";")[0]
  if (type !== mediaType) throw new NoAnswer(response.status, "answer.not-ours")
  const body = await response.json()
  if (body.protocol !== protocol) throw new NoAnswer(response.status, "answer.protocol")
  if (!response.ok) throw new NoAnswer(response.status, body.problem)
  return body
}
