// @ts-check
/**
 * When this phone keeps its pages to itself: while a customer holds it, after it lay about for longer
 * than the policy allows, and for good after the office revoked it.
 *
 * The first two open by the PIN that its owner chose here. That is a courtesy and no encryption:
 * docs/security.md says against whom it helps. The PIN never leaves the phone.
 */
import { changeNote, readNotes, readSetting, readVisit, writeMeta } from "./store.js"

/** SHA-256 rounds of a guess. The PIN is short: this is what makes trying them all take hours. */
const ITERATIONS = 600_000
const PIN = /^[0-9]{4,8}$/
const MINUTE_MS = 60_000
/** Wrong PINs that cost nothing; each one more doubles the wait. */
const FREE_TRIES = 3
const FIRST_WAIT_MS = 5_000
const LONGEST_WAIT_MS = 15 * MINUTE_MS
/** How long what a revoked phone still holds may be looked at after its PIN. */
const REVOKED_MINUTES = 5
/** A use is noted no more often than this: pages must not wait for it each time. */
const NOTED_MS = 10_000
/** A clock that jumped back by more counts as idle: it must not lengthen the time. */
const CLOCK_MS = MINUTE_MS

export const LOCK = "/visits/lock"
export const REVOKED = "/visits/revoked"

/** What the customer needs of the visit that was handed to him. */
const HANDED = ["signatures", "refusals", "ratings"]

/**
 * Where a request has to go instead, or nothing: every page of a locked phone leads to its lock.
 * What was typed before is still taken while nobody touched the phone: a form may stop a person who
 * can go on with it, and he cannot.
 * @param {{method: string}} request
 * @param {URL} url
 */
export async function barrier({ method }, { pathname, search }) {
  const person = await readSetting("person")
  if (!person || pathname === LOCK) return ""
  const notes = await notesOf(person.id)
  const isIdle = idle(notes)
  if (notes.wiped) return behindRevocation(pathname, isIdle)
  if (isIdle && isReading({ method })) return `${LOCK}?back=${encodeURIComponent(pathname + search)}`
  if (!notes.handover) return ""
  const { visit } = notes.handover
  if (!(await readVisit(person.id, visit))) return LOCK
  const [, , id, noun, rest] = pathname.split("/")
  const isHanded = id === visit && HANDED.includes(noun) && rest === undefined
  const isPicture = id === visit && noun === "photos" && rest !== undefined && isReading({ method })
  return isHanded || isPicture ? "" : `/visits/${visit}/signatures`
}

/** A revoked phone shows that it is one; the file of what it could not send, after its PIN. */
function behindRevocation(pathname, isIdle) {
  if (pathname === REVOKED || !pathname.startsWith("/visits")) return ""
  if (pathname !== "/visits/sync/file") return REVOKED
  return isIdle ? `${LOCK}?back=${encodeURIComponent(pathname)}` : ""
}

/** Whether a request asks for a page and records nothing. */
export function isReading({ method }) {
  return method === "GET" || method === "HEAD"
}

/** Whether a person caused a request: pages also ask by themselves. */
export function isTouch({ mode, method, headers }) {
  return mode === "navigate" || method !== "GET" || headers.has("HX-Request")
}

/** Somebody touched the phone; a locked one stays locked. */
export async function noteUse() {
  const person = await readSetting("person")
  if (!person) return
  const notes = await notesOf(person.id)
  const since = Date.now() - (notes.used_at ?? 0)
  if (!notes.pin || notes.wiped || idle(notes) || (since >= 0 && since < NOTED_MS)) return
  await writeMeta(person.id, { used_at: Date.now() })
}

/** Whether the phone is locked for its owner now, and what for: `{is_idle, visit, has_pin}`. */
export async function lockOf(person) {
  const notes = await notesOf(person)
  return {
    has_pin: Boolean(notes.pin),
    asks: !notes.pin && !notes.pin_later,
    is_idle: idle(notes),
    visit: notes.handover?.visit ?? "",
    minutes: notes.policy?.phone?.lock_minutes ?? 0,
  }
}

function notesOf(person) {
  return readNotes(person, ["pin", "handover", "wiped", "used_at", "tries", "policy", "pin_later"])
}

/** Whether nobody touched the phone for longer than its policy allows; without a PIN it has no lock. */
function idle({ pin, wiped, used_at, policy }) {
  const minutes = wiped ? REVOKED_MINUTES : (policy?.phone?.lock_minutes ?? 0)
  if (!pin || !minutes) return false
  const since = Date.now() - (used_at ?? 0)
  return since > minutes * MINUTE_MS || since < -CLOCK_MS
}

/**
 * Try `text` as the PIN; one try after another. When it is right the phone is open: to its owner, and
 * no longer in the customer's hand, if it did not only lie about.
 * @returns {Promise<{code: string, seconds: string, visit: string}>} the problem, or no code
 */
export function unlock(person, text) {
  return navigator.locks.request("fieldapp-pin", async () => {
    const notes = await notesOf(person)
    const tried = await attempt(person, notes, text)
    if (tried.code) return { ...tried, visit: "" }
    const isIdle = idle(notes)
    await writeMeta(person, { used_at: Date.now(), ...(!isIdle && { handover: null }) })
    return { ...tried, visit: isIdle ? "" : (notes.handover?.visit ?? "") }
  })
}

/**
 * Choose a PIN, or another one after the `current`.
 * @returns {Promise<{field: string, code: string, seconds: string}>} the problem, or no code
 */
export function choosePin(person, { current, pin, repeat }) {
  return navigator.locks.request("fieldapp-pin", async () => {
    const notes = await notesOf(person)
    if (notes.pin) {
      const tried = await attempt(person, notes, current)
      if (tried.code) return { field: "current", ...tried }
    }
    if (!PIN.test(digits(pin))) return { field: "pin", code: "pin.digits", seconds: "" }
    if (digits(pin) !== digits(repeat)) return { field: "repeat", code: "pin.repeat", seconds: "" }
    const salt = crypto.getRandomValues(new Uint8Array(16))
    const hash = await stretched(digits(pin), salt, ITERATIONS)
    await writeMeta(person, { pin: { salt, hash, iterations: ITERATIONS }, used_at: Date.now() })
    return { field: "", code: "", seconds: "" }
  })
}

/** One guess; wrong ones are counted, and wait the longer the more there were. */
async function attempt(person, { pin, tries }, text) {
  const now = Date.now()
  const { count = 0, at: noted = 0 } = tries ?? {}
  // a clock that was set back: the wait begins once more, on the clock there is now
  const at = Math.min(noted, now)
  if (at < noted) await writeMeta(person, { tries: { count, at } })
  const left = at + waitAfter(count) - now
  if (left > 0) return { code: "pin.wait", seconds: String(Math.ceil(left / 1000)) }
  const hash = pin && (await stretched(digits(text), pin.salt, pin.iterations))
  if (pin && !isSame(hash, pin.hash)) {
    await writeMeta(person, { tries: { count: count + 1, at: Date.now() } })
    return { code: "pin.wrong", seconds: "" }
  }
  await writeMeta(person, { tries: null })
  return { code: "", seconds: "" }
}

function waitAfter(count) {
  if (count < FREE_TRIES) return 0
  return Math.min(FIRST_WAIT_MS * 2 ** (count - FREE_TRIES), LONGEST_WAIT_MS)
}

/** As typed on any keyboard: a Chinese one may give full-width digits. */
function digits(text) {
  return text.normalize("NFKC").trim()
}

/** PBKDF2 by the browser itself: 32 bytes. */
async function stretched(text, salt, iterations) {
  const key = await crypto.subtle.importKey("raw", new TextEncoder().encode(text), "PBKDF2", false, [
    "deriveBits",
  ])
  const how = { name: "PBKDF2", hash: "SHA-256", salt, iterations }
  return new Uint8Array(await crypto.subtle.deriveBits(how, key, 256))
}

function isSame(one, other) {
  return one.length === other.length && one.every((byte, index) => byte === other[index])
}

/** The phone goes into the customer's hand with this visit; where no PIN was chosen, unlocked. */
export async function handOver(person, visit) {
  const { pin, handover } = await readNotes(person, ["pin", "handover"])
  if (pin && handover?.visit !== visit) await writeMeta(person, { handover: { visit } })
}

/**
 * What the customer had entered when his page was last left, for as long as he holds the phone. The
 * strokes come back only on the page they were drawn on: `seen` is the digest of what it showed,
 * `signed` how many had signed before.
 * @param {string} person
 * @param {string} visit
 * @param {{seen: string, signed: string}} page
 * @returns {Promise<Record<string, string>>} texts by field
 */
export async function readDraft(person, visit, { seen, signed }) {
  const { handover } = await readNotes(person, ["handover"])
  const draft = handover?.visit === visit ? handover.draft : null
  if (!draft || draft.signed !== signed) return {}
  const { strokes, ...typed } = draft.fields
  return draft.seen === seen && strokes ? { ...typed, strokes } : typed
}

/** The customer entered something. */
export async function keepDraft({ visit, seen, signed, fields }) {
  const person = await readSetting("person")
  if (!person) return
  // in one step: a word that comes late must not undo what the PIN ended
  await changeNote(person.id, "handover", (handover) =>
    handover?.visit === visit ? { visit, draft: { seen, signed, fields } } : handover,
  )
}

/** Whoever gave his password is the owner: no lock is left, and a PIN he forgot is gone. */
export async function openByPassword(person) {
  const { forgotten } = await readNotes(person, ["forgotten"])
  const notes = { handover: null, tries: null, forgotten: false, pin_later: false }
  await writeMeta(person, { ...notes, used_at: Date.now(), ...(forgotten && { pin: null }) })
}

/** Signing out at the lock: the PIN was forgotten. It goes with the password. */
export async function noteForgotten(person) {
  const { is_idle, visit } = await lockOf(person)
  if (is_idle || visit) await writeMeta(person, { forgotten: true })
}
