// @ts-check
/**
 * What the phone fetches behind its first sync and then keeps: the reader of bar codes, drawing on
 * photos. It outlives new workers as long as it stays the same: each file is kept under its hash.
 */
import { hashOfBytes } from "./digest.js"
import { later } from "./generated.js"

const CACHE = "later"
/** Only for browsers that cannot read bar codes by themselves. */
const READER = /decoder|zxing/

/** Whether `path` is one of them. */
export function isLater(path) {
  return Object.hasOwn(later, path)
}

/** The file, from here or else from the network. */
export async function fromLater(path) {
  const cache = await caches.open(CACHE)
  return (await cache.match(nameOf(path))) ?? fetched(cache, path)
}

/** Fetch what is not here yet. Whatever fails is tried again after the next sync. */
export async function fetchLater() {
  const connection = /** @type {any} */ (navigator).connection
  if (connection?.saveData) return
  const [cache, isNative] = await Promise.all([caches.open(CACHE), readsByItself()])
  const here = new Set((await cache.keys()).map((request) => new URL(request.url)).map((url) => url.pathname + url.search))
  for (const path of Object.keys(later)) {
    if (here.has(nameOf(path)) || (isNative && READER.test(path))) continue
    await fetched(cache, path).catch((error) => console.warn("not kept for later:", error.message))
  }
}

/** Let go of what a newer worker does not know any more. */
export async function dropOldLater() {
  const cache = await caches.open(CACHE)
  const known = new Set(Object.keys(later).map(nameOf))
  for (const request of await cache.keys()) {
    const { pathname, search } = new URL(request.url)
    if (!known.has(pathname + search)) await cache.delete(request)
  }
}

function nameOf(path) {
  return `${path}?${later[path]}`
}

/** Kept only when it is what this worker was built with: not a captive portal's page. */
async function fetched(cache, path) {
  const response = await fetch(path, { cache: "no-cache" })
  const isOurs = response.ok && (await hashOfBytes(await response.clone().arrayBuffer())) === later[path]
  // a full phone reads it from the network as long as there is one
  if (isOurs) await cache.put(nameOf(path), response.clone()).catch((error) => console.warn(error.message))
  return response
}

async function readsByItself() {
  const formats = (await /** @type {any} */ (self).BarcodeDetector?.getSupportedFormats?.()) ?? []
  return ["code_128", "code_39", "data_matrix", "qr_code"].every((format) => formats.includes(format))
}
