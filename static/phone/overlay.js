// @ts-check
/**
 * The server's state of a visit with this phone's unsent operations on top.
 * Twin of `fold` and `derive` in sync/merge.py whenever nobody else wrote meanwhile; cases in
 * tests/vectors/overlay.json. Nobody wins here: the phone's own operations supersede what their
 * author saw, and whatever else stands beside them is a conflict that both sides show.
 */
import { canonical } from "./canonical.js"
import { changes } from "./changed.js"
import { minutes as minutesBetween } from "./format.js"

/** Who saw somebody agree who cannot draw. */
const WITNESS = ["witness_name", "witness_role"]
const NOT_FROM_FIELD = ["remark", "signature-request", "rating", "question"] // no work on site
const NO_WORK = ["proposal", "opening", ...NOT_FROM_FIELD] // no work on a cancelled visit
const LAST_SECOND = 253_370_764_799 // 9998-12-31T23:59:59Z, the last that format.js can show

/**
 * A new state: `state` after `operations`, in the order in which they were made.
 * @param {any} state as docs/state.md describes it
 * @param {any[]} operations envelopes
 * @param {Record<string, any>} catalogue kinds by name
 * @param {boolean} [sent] what new entries say of themselves
 */
export function overlay(state, operations, catalogue, sent = false) {
  const changed = structuredClone(state)
  const held = new Set(
    [...changed.entries, ...changed.signatures].flatMap((entry) => [
      entry.id,
      ...entry.voids.map((each) => each.operation),
    ]),
  )
  for (const operation of operations) {
    if (!held.has(operation.id)) apply(changed, operation, catalogue, sent)
    held.add(operation.id)
  }
  mark(changed, catalogue)
  return derive(changed)
}

/**
 * Fill `visit` from entries and fields; returns `state`, changed. Twin of `derive`.
 * @param {any} state
 */
export function derive(state) {
  const standing = state.entries.filter((entry) => entry.voids.length === 0)
  const ofKind = (kind) => standing.filter((entry) => entry.kind === kind)
  const [minutes, stillDown] = downtime(ofKind("downtime"))
  const visit = state.visit
  visit.arrived_at = ofKind("arrival").at(0)?.at ?? null
  visit.left_at = ofKind("leaving").at(-1)?.at ?? null
  visit.eta_at = ofKind("departure").at(-1)?.value.eta_at ?? null
  visit.downtime_minutes = minutes
  visit.downtime_open = stillDown
  visit.status = status(state, standing, ofKind)
  visit.changes = changes(state)
  return state
}

function apply(state, operation, catalogue, sent) {
  const kind = own(catalogue, operation.kind)
  if (!kind || !isRecord(operation.value)) return
  const who = {
    author: operation.author,
    device: operation.device,
    at: iso(operation.wall + operation.skew),
    wall_at: iso(operation.wall),
  }
  if (kind.policy === "add" || kind.policy === "sign") {
    const entry = {
      id: operation.id,
      kind: operation.kind,
      ...who,
      value: { ...operation.value },
      corrected: [],
      voids: [],
      after: false,
      sent,
    }
    if (kind.policy === "add") return insert(state.entries, entry)
    const { name, role, opinion, strokes, token, digest, language } = operation.value
    const value = { name, role, opinion, strokes, token, digest, language }
    for (const key of Object.keys(value)) value[key] ??= null
    for (const key of WITNESS) {
      if (Object.hasOwn(operation.value, key)) value[key] = operation.value[key]
    }
    const named = isRecord(operation.value.frontier) ? operation.value.frontier.operations : []
    const frontier = Array.isArray(named) ? named.filter(isText).sort(compare) : []
    return insert(state.signatures, { ...entry, value, frontier, verdict: "pending" })
  }
  if (kind.policy === "void") {
    const all = [...state.entries, ...state.signatures]
    const entry = all.find((each) => each.id === operation.value.entry)
    if (!entry) return
    const reason = text(operation.value.reason)
    entry.voids.push({ operation: operation.id, ...when(who), reason, after: false })
    entry.voids.sort((a, b) => compare(a.at, b.at) || compare(a.operation, b.operation))
    return
  }
  if (kind.policy === "judgement") return // only the desk judges
  if (kind.policy === "assert") return put(state, kind.name, operation, operation.value, who)
  for (const [path, value] of Object.entries(operation.value)) {
    if (!maySet(kind, path, value, catalogue)) continue
    put(state, path, operation, value, who)
    correct(state, path)
  }
}

/** Whether a path belongs to `kind`; a resolution decides every path, in its own shape. */
function maySet(kind, path, value, catalogue) {
  if (kind.policy === "correction") return path.startsWith("entries/")
  if (kind.fields.length > 0) return path.startsWith(`${kind.name}/`)
  const owner = own(catalogue, path)
  return !owner || (owner.policy === "assert" && isRecord(value))
}

/**
 * One operation sets one path: it takes the place of the heads that its author saw.
 * Also when it stands there already: then an earlier one, put back just now, must go again.
 */
function put(state, path, operation, value, who) {
  const seen = new Set(own(operation.supersedes, path) ?? [])
  const before = own(state.fields, path)?.sides ?? []
  const held = before.find((side) => side.operation === operation.id)
  const sides = before.filter((side) => side === held || !seen.has(side.operation))
  if (!held) sides.push({ operation: operation.id, value, ...who, over: [] })
  sides.sort((a, b) => compare(a.at, b.at) || compare(a.operation, b.operation))
  const shown = /** @type {any} */ (sides.at(-1))
  const differ = new Set(sides.map((side) => canonical(side.value))).size > 1
  write(state.fields, path, {
    value: shown.value,
    heads: sides.map((side) => side.operation).sort(compare),
    at: shown.at,
    author: shown.author,
    sides,
    conflict: differ,
    after: false,
  })
}

/** A correction shows in its entry; without one it waits at the office. */
function correct(state, path) {
  if (!path.startsWith("entries/")) return
  const [, id, name, ...rest] = path.split("/")
  const entry = state.entries.find((each) => each.id === id)
  if (!entry || name === undefined || rest.length > 0) {
    delete state.fields[path]
    return
  }
  write(entry.value, name, state.fields[path].value)
  if (!entry.corrected.includes(name)) entry.corrected = [...entry.corrected, name].sort(compare)
}

/** What the customer has not seen is marked, once there is a signature. */
function mark(state, catalogue) {
  const signatures = state.signatures.filter((entry) => entry.voids.length === 0)
  const seen = new Set(signatures.flatMap((entry) => entry.frontier))
  const isSigned = signatures.length > 0
  const onPaper = (kind) => (own(catalogue, kind)?.on_paper ?? "never") !== "never"
  const kinds = new Map(state.entries.map((entry) => [entry.id, entry.kind]))
  for (const entry of state.entries) {
    entry.after = isSigned && onPaper(entry.kind) && !seen.has(entry.id)
  }
  for (const entry of [...state.entries, ...state.signatures]) {
    const canFollow = isSigned && onPaper(entry.kind)
    for (const each of entry.voids) each.after = canFollow && !seen.has(each.operation)
  }
  for (const [path, cell] of Object.entries(state.fields)) {
    const [head, id] = path.split("/")
    const printed = onPaper(head === "entries" ? kinds.get(id) : head)
    cell.after = isSigned && printed && !cell.heads.every((each) => seen.has(each))
  }
}

function status(state, standing, ofKind) {
  const fieldWork = standing.filter((entry) => !NO_WORK.includes(entry.kind))
  if (state.fields.cancellation && fieldWork.length === 0) return "cancelled"
  const review = state.fields.review
  if (review) {
    if (review.value?.verdict === "accepted") return "accepted"
    return newestAt(state) > review.at ? "under-review" : "sent-back"
  }
  const left = ofKind("leaving").at(-1)
  if (left) return left.sent ? "under-review" : "left"
  if (state.signatures.some((entry) => entry.voids.length === 0)) return "signed"
  if (ofKind("refusal").length) return "unsigned"
  if (ofKind("arrival").length) return "on-site"
  return ofKind("departure").length ? "departed" : "planned"
}

/** Time of the newest thing the field did. */
function newestAt(state) {
  const times = [""]
  for (const entry of [...state.entries, ...state.signatures]) {
    if (NOT_FROM_FIELD.includes(entry.kind)) continue
    times.push(entry.at, ...entry.voids.map((each) => each.at))
  }
  for (const [path, cell] of Object.entries(state.fields)) {
    if (["diagnosis", "outcome", "entries", "fault"].includes(path.split("/")[0])) {
      times.push(cell.at)
    }
  }
  return times.sort(compare).at(-1)
}

/**
 * In the order of what the events say; one that names no time comes first and lasts no minute.
 * @returns {[number, boolean]} whole minutes, and whether the system is still down
 */
function downtime(events) {
  const byTime = [...events].sort(
    (a, b) => compare(text(a.value.at), text(b.value.at)) || compare(a.id, b.id),
  )
  let minutes = 0
  /** @type {string | null} */
  let started = null
  for (const event of byTime) {
    if (event.value.event === "start") started ??= text(event.value.at)
    else if (started !== null) {
      minutes += lengthOf(started, text(event.value.at))
      started = null
    }
  }
  return [minutes, started !== null]
}

/** Whole minutes; 0 when either is no instant. */
function lengthOf(start, end) {
  try {
    return minutesBetween(start, end)
  } catch {
    return 0
  }
}

function insert(entries, entry) {
  entries.push(entry)
  entries.sort((a, b) => compare(a.at, b.at) || compare(a.id, b.id))
}

function when({ author, at, wall_at }) {
  return { author, at, wall_at }
}

/** By UTF-16 code unit, as times and ids sort. */
function compare(a, b) {
  return a < b ? -1 : a > b ? 1 : 0
}

/** Milliseconds since 1970 as ISO UTC with whole seconds, rounded down, from 1970 to 9998. */
function iso(ms) {
  const seconds = Math.min(Math.max(Math.floor(ms / 1000), 0), LAST_SECOND)
  return `${new Date(seconds * 1000).toISOString().slice(0, 19)}Z`
}

/** What `record` itself holds under `key`: a kind or a path may be called "constructor". */
function own(record, key) {
  return Object.hasOwn(record, key) ? record[key] : undefined
}

/** An assignment to `__proto__` would set something else. */
function write(record, key, value) {
  Object.defineProperty(record, key, {
    value,
    configurable: true,
    enumerable: true,
    writable: true,
  })
}

function isRecord(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}

function isText(value) {
  return typeof value === "string"
}

/** `value` if it is a text, else the empty one: languages print other things differently. */
function text(value) {
  return isText(value) ? value : ""
}
