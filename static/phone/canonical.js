// @ts-check
/**
 * Canonical JSON (RFC 8785): what hashes and signatures cover.
 * Twin of sync/canonical.py, cases in tests/vectors/canonical.json.
 */
import { Problem } from "./problem.js"

const LONE_SURROGATE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/
const DEEPEST = 100

/**
 * `value` as canonical text. Floats, undefined, integers beyond 2^53 - 1, half characters and
 * anything nested deeper than DEEPEST are refused.
 * @param {unknown} value
 */
export function canonical(value) {
  return write(value, DEEPEST)
}

/**
 * @param {unknown} value
 * @param {number} deepest how many lists and records may still open
 * @returns {string}
 */
function write(value, deepest) {
  if (value === null || value === true || value === false) return String(value)
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value)) refuse("integer")
    return String(value) // "0" for -0, as RFC 8785 wants it
  }
  if (typeof value === "string") {
    if (LONE_SURROGATE.test(value)) refuse("text")
    return JSON.stringify(value)
  }
  if (typeof value === "object" && deepest === 0) refuse("depth")
  if (Array.isArray(value)) return `[${value.map((item) => write(item, deepest - 1)).join(",")}]`
  if (typeof value === "object") {
    const record = /** @type {Record<string, unknown>} */ (value)
    const members = Object.keys(record)
      .sort() // by UTF-16 code unit, as RFC 8785 wants it
      .map((key) => `${write(key, 0)}:${write(record[key], deepest - 1)}`)
    return `{${members.join(",")}}`
  }
  return refuse(typeof value)
}

/**
 * SHA-256, in hex, of the canonical form of all fields of an operation except `hash`.
 * @param {Record<string, unknown>} body
 */
export async function hashOf(body) {
  const { hash, ...rest } = body
  return sha256(canonical(rest))
}

/**
 * SHA-256, in hex, of a text's UTF-8 bytes; half characters, which have none, are refused.
 * @param {string} text
 */
export async function sha256(text) {
  if (LONE_SURROGATE.test(text)) refuse("text")
  const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))
  return Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("")
}

/**
 * @param {string} field
 * @returns {never}
 */
function refuse(field) {
  throw new Problem("operation.malformed", { field })
}
