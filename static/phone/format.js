// @ts-check
/**
 * Time, money and numbers as text. Twin of fieldapp/formats.py, where every rule is described;
 * tests/vectors/format.json owns both.
 *
 * @typedef {[fromUtc: string, minutes: number][]} Offsets the clock of one place
 */

const INSTANT = /^(19[7-9][0-9]|[2-9][0-9]{3})-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$/
const LOCAL = /^(19[7-9][0-9]|[2-9][0-9]{3})-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?$/
const MINUTE_MS = 60_000
const DAY_MS = 86_400_000
const MAX_OFFSET_MINUTES = 24 * 60

/** Currency to its sign and the number of digits after the point. */
const CURRENCIES = new Map([
  ["CNY", ["¥", 2]],
  ["EUR", ["€", 2]],
  ["GBP", ["£", 2]],
  ["HKD", ["HK$", 2]],
  ["JPY", ["JP¥", 0]],
  ["KRW", ["₩", 0]],
  ["TWD", ["NT$", 2]],
  ["USD", ["$", 2]],
])

/** A value that cannot be shown; `code` is its name, stable for ever. */
export class FormatError extends Error {
  /** @param {string} code */
  constructor(code) {
    super(code)
    this.name = "FormatError"
    this.code = code
  }
}

/** @param {string} at @param {Offsets} offsets @returns {string} `23:30` */
export function clock(at, offsets) {
  return wall(at, offsets).slice(11, 16)
}

/** @param {string} at @param {Offsets} offsets @returns {string} `2026-03-10` */
export function day(at, offsets) {
  return wall(at, offsets).slice(0, 10)
}

/** @param {string} at @param {Offsets} offsets @returns {string} `2026-03-10 23:30` */
export function moment(at, offsets) {
  return `${day(at, offsets)} ${clock(at, offsets)}`
}

/** @param {string} at @param {Offsets} offsets @returns {string} as `moment`, or `at` as it came */
export function when(at, offsets) {
  try {
    return moment(at, offsets)
  } catch (error) {
    if (!(error instanceof FormatError) || error.code !== "time.unreadable") throw error
    return at
  }
}

/**
 * @param {string} start @param {string} end @param {Offsets} offsets
 * @returns {string} `23:30 – 00:45 (+1)`
 */
export function duration(start, end, offsets) {
  const begun = local(start, offsets)
  const ended = local(end, offsets)
  if (instant(end) < instant(start)) throw new FormatError("time.backwards")
  const days = Math.floor(ended / DAY_MS) - Math.floor(begun / DAY_MS)
  const midnights = days === 0 ? "" : ` (${days > 0 ? "+" : ""}${days})`
  return `${clock(start, offsets)} – ${clock(end, offsets)}${midnights}`
}

/** @param {string} start @param {string} end @returns {number} whole minutes */
export function minutes(start, end) {
  const begun = instant(start)
  const ended = instant(end)
  if (ended < begun) throw new FormatError("time.backwards")
  return Math.floor((ended - begun) / MINUTE_MS)
}

/** @param {number} length in minutes @returns {string} `1:05` */
export function span(length) {
  if (whole(length) < 0) throw new FormatError("time.backwards")
  return `${Math.floor(length / 60)}:${String(length % 60).padStart(2, "0")}`
}

/** @param {number} minor minor units @param {string} currency @returns {string} `¥12,345.00` */
export function money(minor, currency) {
  const sign = whole(minor) < 0 ? "-" : ""
  const known = CURRENCIES.get(currency)
  if (!known) throw new FormatError("money.unknown-currency")
  const [symbol, digits] = /** @type {[string, number]} */ (known)
  // Cutting the digits apart as text: dividing would round near 2^53.
  const text = String(Math.abs(minor)).padStart(digits + 1, "0")
  const units = text.slice(0, text.length - digits)
  const rest = text.slice(text.length - digits)
  return `${sign}${symbol}${separated(units)}${digits > 0 ? "." + rest : ""}`
}

/** @param {number} n pieces @returns {string} `12,345` */
export function count(n) {
  return (whole(n) < 0 ? "-" : "") + separated(String(Math.abs(n)))
}

/** @param {string} at @param {Offsets} offsets @returns {string} `2026-03-10T23:30` */
export function localInput(at, offsets) {
  return `${day(at, offsets)}T${clock(at, offsets)}`
}

/** @param {string} text of a datetime-local field @param {Offsets} offsets @returns {string} UTC */
export function fromLocalInput(text, offsets) {
  if (typeof text !== "string" || !LOCAL.test(text)) throw new FormatError("time.unreadable")
  const meant = calendar(text.length === 16 ? `${text}:00Z` : `${text}Z`)
  const table = readTable(offsets)
  let index = 0
  let at = meant - table[0].offset * MINUTE_MS
  while (index + 1 < table.length && at >= table[index + 1].since) {
    index += 1
    at = meant - table[index].offset * MINUTE_MS
  }
  if (index > 0 && at < table[index].since) at = meant - table[index - 1].offset * MINUTE_MS
  const written = iso(at)
  instant(written)
  return written
}

/** @param {string} text with Z @returns {number} ms */
function calendar(text) {
  const ms = Date.parse(text)
  // Date.parse takes 30 February for 2 March in some engines, and 24:00 in all.
  if (Number.isNaN(ms) || iso(ms) !== text) throw new FormatError("time.unreadable")
  return ms
}

/** @param {unknown} text @returns {number} ms */
function instant(text) {
  if (typeof text !== "string" || !INSTANT.test(text) || text.startsWith("9999")) {
    throw new FormatError("time.unreadable")
  }
  return calendar(text)
}

/** @param {number} ms @returns {string} */
function iso(ms) {
  return new Date(ms).toISOString().replace(".000Z", "Z")
}

/** @param {unknown} offsets @returns {{since: number, offset: number}[]} */
function readTable(offsets) {
  if (!Array.isArray(offsets) || offsets.length === 0) throw new FormatError("offsets.unreadable")
  let before = -Infinity
  return offsets.map((entry) => {
    if (!Array.isArray(entry) || entry.length !== 2) throw new FormatError("offsets.unreadable")
    let since, offset
    try {
      since = instant(entry[0])
      offset = whole(entry[1])
    } catch {
      throw new FormatError("offsets.unreadable")
    }
    if (Math.abs(offset) > MAX_OFFSET_MINUTES || since <= before) {
      throw new FormatError("offsets.unreadable")
    }
    before = since
    return { since, offset }
  })
}

/** @param {unknown} at @param {unknown} offsets @returns {number} ms on the clock of the place */
function local(at, offsets) {
  const ms = instant(at)
  const table = readTable(offsets)
  let { offset } = table[0]
  for (const entry of table) if (entry.since <= ms) offset = entry.offset
  return ms + offset * MINUTE_MS
}

/** @param {unknown} at @param {unknown} offsets @returns {string} ISO text of the wall clock */
function wall(at, offsets) {
  return iso(local(at, offsets))
}

/** @param {string} digits @returns {string} */
function separated(digits) {
  return digits.replace(/\B(?=([0-9]{3})+$)/g, ",")
}

/** @param {unknown} value @returns {number} */
function whole(value) {
  if (!Number.isSafeInteger(value)) throw new FormatError("number.not-whole")
  return /** @type {number} */ (value)
}
