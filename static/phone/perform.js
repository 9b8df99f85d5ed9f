// @ts-check
/** Performing an operation on this phone. */
import { canonical, hashOf, sha256 } from "./canonical.js"
import { appVersion, onPaper } from "./generated.js"
import { facts, frontier, snapshotText } from "./snapshot.js"
import { keepOperation } from "./store.js"

const ENVELOPE_VERSION = 1
const BOOT = crypto.randomUUID()
const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

/**
 * Keep one operation; resolves once it is on the disk.
 * @param {{id: string}} person
 * @param {any} kind of the catalogue
 * @param {string} visit
 * @param {Record<string, any>} value the form's fields by name
 * @param {Record<string, string[]>} heads per path, what the author saw
 * @param {any} [state] of a visit that this opens
 */
export function perform(person, kind, visit, value, heads, state) {
  const isSet = kind.policy === "set" && kind.fields.length > 0
  const content = isSet
    ? Object.fromEntries(Object.entries(value).map(([name, item]) => [`${kind.name}/${name}`, item]))
    : value
  const paths = ["set", "correction"].includes(kind.policy) ? Object.keys(content) : []
  const make = ({ n, device, skew }) => {
    const wall = Date.now()
    return {
      id: newId(wall),
      v: ENVELOPE_VERSION,
      visit,
      device,
      n,
      author: person.id,
      kind: kind.name,
      value: content,
      supersedes: Object.fromEntries(paths.map((path) => [path, heads[path] ?? []])),
      wall,
      mono: Math.floor(performance.now()),
      boot: BOOT,
      skew,
      app: appVersion,
    }
  }
  return keepOperation(person.id, make, state)
}

/** An envelope as it leaves the phone: with the hash of all its other fields. */
export async function hashed(body) {
  return { ...body, hash: await hashOf(body) }
}

/**
 * A signature's value with what it stands on: frontier, snapshot, digest, language, token.
 * `language` is that of the page, where the office knows none of the customer's.
 */
export async function sign(state, value, language) {
  const text = snapshotText(facts(state, onPaper), state.context)
  return {
    ...value,
    frontier: frontier(state, onPaper),
    snapshot: text,
    digest: await sha256(text),
    context_sha256: await sha256(canonical(state.context)),
    language: state.context.contact.language || language,
    token: newToken(),
  }
}

/** What a link names a work order or a request by: nobody can guess it. */
export function newToken() {
  return hex(crypto.getRandomValues(new Uint8Array(16)))
}

/** Whether `text` is an id as `newId` makes them. */
export function isId(text) {
  return ID.test(text)
}

/** A UUIDv7 of the time `ms`. Source: RFC 9562, 5.7. */
export function newId(ms) {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  let rest = ms
  for (let index = 5; index >= 0; index--) {
    bytes[index] = rest % 256
    rest = Math.floor(rest / 256)
  }
  bytes[6] = (bytes[6] & 0x0f) | 0x70
  bytes[8] = (bytes[8] & 0x3f) | 0x80
  const text = hex(bytes)
  return [8, 12, 16, 20].reduceRight((id, at) => `${id.slice(0, at)}-${id.slice(at)}`, text)
}

function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")
}
