// @ts-check
/**
 * A posted form becomes the value of an operation, and back.
 * Twin of fieldapp/forms.py, cases in tests/vectors/forms.json.
 *
 * @typedef {Record<string, string[]>} Form every posted text by its name
 */
import { FormatError, fromLocalInput, localInput } from "./format.js"

const COUNT = /^[0-9]{1,9}$/
const CHOSEN = /^(?:now|\+([0-9]{1,3}))$/
const AMOUNT = /^([0-9]{1,9})(?:\.([0-9]{1,2}))?$/

/**
 * The forms that `form` stands for: one for each photo in it, else itself alone. A photo field names
 * photos with spaces between them, each by its hash; a photo that was drawn on by `hash:hash`, the
 * second being the photo without the marks, which becomes `unmarked`.
 * @param {any[]} fields
 * @param {Form} form
 * @returns {Form[]}
 */
export function oneByOne(fields, form) {
  const names = fields.filter((field) => field.type === "photo").map((field) => field.name)
  const texts = names.flatMap((name) => (own(form, name) ?? []).slice(0, 1))
  const photos = texts.flatMap((text) => text.split(" ").filter(Boolean))
  if (!photos.length) return [form]
  return [...new Set(photos)].map((photo) => {
    const [marked, ...rest] = photo.split(":")
    return { ...form, [names[0]]: [marked], unmarked: [rest.join(":")] }
  })
}

/**
 * The value that `form` states for `fields`; fields left empty are left out.
 * @param {any[]} fields
 * @param {Form} form
 * @param {any[]} offsets the site's
 */
export function readValue(fields, form, offsets) {
  /** @type {Record<string, any>} */
  const value = {}
  for (const field of fields) {
    const texts = (own(form, field.name) ?? []).map((text) => clean(text, field.type)).filter(Boolean)
    if (["ticks", "people"].includes(field.type)) value[field.name] = texts
    else if (texts.length) value[field.name] = read(field.type, texts[0], offsets)
  }
  return value
}

/**
 * `value` with the moments that were chosen instead of typed: `now`, or `+30` minutes from it.
 * @param {any[]} fields
 * @param {Record<string, any>} value
 * @param {number} nowMs
 */
export function timed(fields, value, nowMs) {
  const found = { ...value }
  for (const { name, type } of fields) {
    const text = own(value, name)
    const chosen = type === "moment" && typeof text === "string" ? CHOSEN.exec(text) : null
    if (chosen) found[name] = iso(nowMs + Number(chosen[1] ?? 0) * 60_000)
  }
  return found
}

/**
 * What a form shows for `value`: texts by name, lists for ticks; every field has one.
 * @param {any[]} fields
 * @param {Record<string, any>} value
 * @param {any[]} offsets
 */
export function writeForm(fields, value, offsets) {
  /** @type {Record<string, any>} */
  const form = {}
  for (const field of fields) {
    const item = own(value, field.name)
    if (["ticks", "people"].includes(field.type)) form[field.name] = Array.isArray(item) ? [...item] : []
    else if (item === undefined || item === null) form[field.name] = ""
    else if (field.type === "money" && isAmount(item)) form[field.name] = inUnits(item)
    else if (typeof item !== "string") form[field.name] = JSON.stringify(item)
    else form[field.name] = field.type === "moment" ? local(item, offsets) : item
  }
  return form
}

/**
 * The heads that a form carried, per path; none when they cannot be read.
 * @param {Form} form
 * @returns {Record<string, string[]>}
 */
export function readHeads(form) {
  const heads = Object.entries(carried(form, "heads"))
  return Object.fromEntries(
    heads
      .filter(([, ids]) => Array.isArray(ids))
      .map(([path, ids]) => [path, ids.filter((id) => typeof id === "string")]),
  )
}

/**
 * The values that the form's reader was shown.
 * @param {Form} form
 * @returns {Record<string, any>}
 */
export function readWas(form) {
  return carried(form, "was")
}

/**
 * What the author changed: a field cleared becomes the empty text, one left alone is left out.
 * @param {any[]} fields
 * @param {Record<string, any>} value
 * @param {Form} form
 */
export function onlyChanged(fields, value, form) {
  const was = readWas(form)
  /** @type {Record<string, any>} */
  const changed = {}
  for (const { name } of fields) {
    const before = own(was, name) ?? ""
    const after = own(value, name) ?? ""
    if (JSON.stringify(before, byKey) !== JSON.stringify(after, byKey)) changed[name] = after
  }
  return changed
}

function carried(form, name) {
  const found = parse((form[name] ?? [])[0] ?? "")
  return typeof found === "object" && found !== null && !Array.isArray(found) ? found : {}
}

function clean(text, type) {
  const normal = text.replaceAll("\r\n", "\n").replaceAll("\r", "\n").normalize("NFC")
  return type === "strokes" ? normal : normal.replace(/^[ \t\n\u3000]+|[ \t\n\u3000]+$/g, "")
}

function read(type, text, offsets) {
  if (type === "moment") return attempt(() => fromLocalInput(text, offsets), text, FormatError)
  if (type === "position" || type === "strokes") return parse(text)
  if (type === "count" && COUNT.test(text)) return Number(text)
  const amount = type === "money" ? AMOUNT.exec(text) : null
  return amount ? Number(amount[1]) * 100 + Number((amount[2] ?? "").padEnd(2, "0")) : text
}

/** The JSON in `text`; what is none stays the text. */
function parse(text) {
  return attempt(() => JSON.parse(text), text, SyntaxError)
}

function isAmount(item) {
  return Number.isSafeInteger(item) && item >= 0
}

function iso(ms) {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`
}

function inUnits(minor) {
  return `${Math.floor(minor / 100)}.${String(minor % 100).padStart(2, "0")}`
}

function local(text, offsets) {
  return attempt(() => localInput(text, offsets), text, FormatError)
}

/** What `record` itself holds under `key`: a field may be called "constructor". */
function own(record, key) {
  return Object.hasOwn(record, key) ? record[key] : undefined
}

/** For JSON.stringify: records alike but for the order of their keys have one text. */
function byKey(key, value) {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** What `run` gives, or `otherwise` when it throws an `Expected`. */
function attempt(run, otherwise, Expected) {
  try {
    return run()
  } catch (error) {
    if (error instanceof Expected) return otherwise
    throw error
  }
}
