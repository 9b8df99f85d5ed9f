// @ts-check
/**
 * Whether the value of an operation is complete and printable.
 * Twin of sync/validate.py, cases in tests/vectors/validate.json.
 *
 * @typedef {{field: string, code: string, detail: string}} Finding
 */

/* eslint-disable no-control-regex */
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\ufeff]/
const LINE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/
/** What either language takes for a space. */
const BLANK = /[\t-\r\u001c-\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]/g
const SERIAL = /^[A-Za-z0-9][A-Za-z0-9 ./_-]*$/
const MOMENT = /^(?!9999)(19[7-9]\d|[2-9]\d{3})-\d\d-\d\dT([01]\d|2[0-3]):[0-5]\d:[0-5]\dZ$/
const PERSON = /^[0-9A-Za-z-]{1,36}$/
const HASH = /^[0-9a-f]{64}$/

/**
 * What is wrong with `value`, at most one finding a field.
 * @param {any[]} fields of the catalogue
 * @param {Record<string, any>} value
 * @param {Record<string, string[]>} choices keys of the policy's lists
 * @param {number[]} coverage code points of the paper's fonts as run lengths: skip, take, …
 * @returns {Finding[]}
 */
export function validate(fields, value, choices, coverage) {
  const found = []
  for (const field of fields) {
    const isRequired = mustBeFilled(field, value)
    const finding = findingOf(field, isRequired, own(value, field.name), choices, coverage)
    if (finding) found.push({ field: field.name, code: finding[0], detail: finding[1] })
  }
  return found
}

/** Whether a field must be filled in, others being as they are. */
function mustBeFilled(field, value) {
  if (field.required) return isEmpty(own(value, field.unless || ""))
  return !isEmpty(own(value, field.beside || ""))
}

function isEmpty(value) {
  if (typeof value === "string") return !value.replace(BLANK, "")
  return value === undefined || value === null || (Array.isArray(value) && !value.length)
}

/** Where the runs of a coverage begin and end, made when it is first asked. */
const edges = new WeakMap()

/**
 * Whether the paper's fonts have a glyph for `character`.
 * @param {string} character
 * @param {number[]} coverage
 */
export function isPrintable(character, coverage) {
  if (!edges.has(coverage)) {
    let point = 0
    edges.set(coverage, coverage.map((length) => (point += length)))
  }
  const bounds = edges.get(coverage)
  const asked = /** @type {number} */ (character.codePointAt(0))
  let [low, high] = [0, bounds.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (bounds[middle] <= asked) low = middle + 1
    else high = middle
  }
  return low % 2 === 1 // behind the start of a run and before its end
}

function findingOf(field, isRequired, value, choices, coverage) {
  const isNothing = value === undefined || value === null || value === ""
  if (isNothing || (Array.isArray(value) && value.length === 0)) {
    if (!isRequired) return null
    return field.type === "strokes" ? ["field.not-strokes", ""] : ["field.missing", ""]
  }
  if (field.type === "position") return isPosition(value) ? null : ["field.not-a-position", ""]
  if (field.type === "strokes") {
    return areStrokes(value, field.limit) ? null : ["field.not-strokes", ""]
  }
  if (field.type === "ticks") {
    const keys = own(choices, field.choices) ?? []
    const fits = Array.isArray(value) && value.every((item) => keys.includes(item))
    return fits ? null : ["field.not-a-choice", ""]
  }
  if (field.type === "people") {
    return arePeople(value, field.limit) ? null : ["field.not-a-choice", ""]
  }
  if (field.type === "count" || field.type === "money") {
    const least = field.type === "count" ? 1 : 0
    const fits = Number.isSafeInteger(value) && value >= least && value <= field.limit
    return fits ? null : [field.type === "count" ? "field.not-a-count" : "field.not-an-amount", ""]
  }
  if (typeof value !== "string") return ["field.wrong-type", ""]
  return textFinding(field, isRequired, value, choices, coverage)
}

function textFinding(field, isRequired, value, choices, coverage) {
  const type = field.type
  if (type === "choice") {
    const keys = own(choices, field.choices) ?? []
    return keys.includes(value) ? null : ["field.not-a-choice", ""]
  }
  if (type === "moment") return isMoment(value) ? null : ["field.not-a-moment", ""]
  if (type === "photo" || field.is_hash) return HASH.test(value) ? null : ["field.not-a-hash", ""]
  const characters = [...value]
  if (characters.length > field.limit) return ["field.too-long", String(field.limit)]
  if ((type === "paragraph" ? CONTROL : LINE).test(value)) return ["field.control-characters", ""]
  if (!value.trim()) return isRequired ? ["field.missing", ""] : null
  if (type === "serial" && !SERIAL.test(value)) return ["field.not-a-serial", ""]
  const strange = characters.find((each) => !"\n\t ".includes(each) && !isPrintable(each, coverage))
  return strange === undefined ? null : ["field.glyph", strange]
}

/** A day that exists, from 1970 to 9998: what format.js can show. */
function isMoment(text) {
  const day = text.slice(0, 10)
  const ms = MOMENT.test(text) ? Date.parse(`${day}T00:00:00Z`) : NaN
  // 30 February is March to some browsers and no date to others.
  return !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(day)
}

/** Micro-degrees and whole metres. */
function isPosition(value) {
  return (
    typeof value === "object" &&
    isWithin(value.latitude, 90_000_000) &&
    isWithin(value.longitude, 180_000_000) &&
    isWithin(value.accuracy, Infinity) &&
    value.accuracy >= 0
  )
}

function isWithin(number, bound) {
  return Number.isSafeInteger(number) && Math.abs(number) <= bound
}

/** What `record` itself holds under `key`: a field may be called "constructor". */
function own(record, key) {
  return Object.hasOwn(record, key) ? record[key] : undefined
}

/** Flat lists x, y, ms, …: at least two points in all, no more than `limit`. */
function areStrokes(value, limit) {
  if (!Array.isArray(value)) return false
  let points = 0
  for (const stroke of value) {
    if (!Array.isArray(stroke) || stroke.length % 3) return false
    if (!stroke.every(Number.isSafeInteger)) return false
    points += stroke.length / 3
  }
  return points >= 2 && points <= limit
}

/** Ids of persons; whether they work here is for others to say. */
function arePeople(value, limit) {
  const isPerson = (id) => typeof id === "string" && PERSON.test(id)
  return Array.isArray(value) && value.length <= limit && value.every(isPerson)
}
