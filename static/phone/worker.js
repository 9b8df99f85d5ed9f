// @ts-check
/** Who answers: the phone for the engineer's pages and its shell, the network for everything else. */
import "./engineer.js"
import { shell } from "./generated.js"
import { dropOldLater, fetchLater, fromLater, isLater } from "./later.js"
import { barrier, isReading, isTouch, keepDraft, lockOf, LOCK, noteUse, REVOKED } from "./lock.js"
import { page, problemPage, seeOther } from "./pages.js"
import { Problem } from "./problem.js"
import { match } from "./routes.js"
import { readSetting } from "./store.js"
import { enrol, finishSigningOut, lock, standingHere, synchronise } from "./sync.js"

const worker = /** @type {any} */ (self)
const SHELL = `shell-${worker.BUILD}`
const SOON_MS = 300
/** Pages of the server that would let a session in that was meant to be over. */
const DOORS = ["/", "/sign-in", "/welcome"]
const STATUS = {
  "access.revoked": 403,
  "access.sign-in": 401,
  "blob.hash-mismatch": 422,
  "phone.blocked": 503,
  "phone.locked": 423,
  "phone.no-room": 507,
  "photo.no-room": 507,
  "server.failed": 500,
}
const NOBODY = { id: "", name: "" }

worker.addEventListener("install", (event) => event.waitUntil(precache()))
worker.addEventListener("activate", (event) => event.waitUntil(dropOldShells()))

worker.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url)
  if (url.origin !== location.origin) return
  if (event.request.method === "POST" && url.pathname === "/sign-out") event.waitUntil(lock())
  const route = match(event.request.method, url.pathname)
  if (route) event.respondWith(answer(route, event, url))
  else if (shell.includes(url.pathname)) event.respondWith(fromShell(event.request))
  else if (isLater(url.pathname)) event.respondWith(fromLater(url.pathname))
  else if (DOORS.includes(url.pathname) && event.request.method === "GET") {
    event.respondWith(unlessBarred(event.request, url))
    event.waitUntil(syncAndTell()) // nobody is signed in, and work may still be locked here
  }
})

worker.addEventListener("message", (event) => {
  const { type, person, language, ...told } = event.data ?? {}
  if (type === "used") event.waitUntil(noteUse())
  if (type === "handed") event.waitUntil(keepDraft(told))
  if (type === "sync") event.waitUntil(syncAndTell().then(fetchLater))
  if (type === "take-over") event.waitUntil(worker.skipWaiting())
  if (type === "enrol") event.waitUntil(enrolAndTell(event, person, language, told))
})

worker.addEventListener("sync", (event) => event.waitUntil(syncAndTell()))

/** The page made here. A person always gets a page that says what to do. */
async function answer(route, event, url) {
  const { request } = event
  try {
    const instead = await barrier(request, url)
    if (instead) return isReading(request) ? seeOther(instead) : notTaken(instead)
    if (isTouch(request)) event.waitUntil(noteUse())
    const response = await route.handler(route.names, { request, url })
    if (!isReading(request)) event.waitUntil(syncSoon())
    return response
  } catch (error) {
    return failed(error, request)
  }
}

/**
 * A form of another tab, sent while this one is locked: nothing is recorded, and its page is told so
 * by the status: what was typed stays in its draft.
 */
async function notTaken(instead) {
  const person = (await readSetting("person")) ?? NOBODY
  const code = instead === REVOKED ? "access.revoked" : "phone.locked"
  return page("engineer/problem.html", problemPage(person, code, instead), STATUS[code])
}

/** A door leads round no lock. */
async function unlessBarred(request, url) {
  const instead = await barrier(request, url).catch(() => "")
  return instead ? seeOther(instead) : throughDoor(request)
}

/** Without an answer of its own the phone asks the network, for reading only. */
async function failed(error, request) {
  const isKnown = error instanceof Problem
  if (!isKnown) console.error(error)
  const code = isKnown ? error.code : "server.failed"
  const elsewhere = ["access.sign-in", "visit.not-found"].includes(code)
  const handed = await readSetting("person")
    .then(async (person) => person && (await lockOf(person.id)).visit)
    .catch(() => "")
  if (!handed && request.method === "GET" && (elsewhere || !isKnown)) {
    try {
      return await throughDoor(request)
    } catch {
      // no network either: say so on a page
    }
  }
  const person = (await readSetting("person").catch(() => null)) ?? NOBODY
  const args = problemPage(person, code, handed ? LOCK : "/visits")
  return page("engineer/problem.html", args, STATUS[code] ?? 404)
}

/** The server's page, after a sign-out that could not reach it before. */
async function throughDoor(request) {
  await finishSigningOut()
  return fetch(request)
}

/** Half a shell must not install: no catch here. */
async function precache() {
  const cache = await caches.open(SHELL)
  await cache.addAll(shell.map((path) => new Request(path, { cache: "reload" })))
}

async function dropOldShells() {
  const names = await caches.keys()
  const old = names.filter((name) => name.startsWith("shell-") && name !== SHELL)
  await Promise.all(old.map((name) => caches.delete(name)))
  await dropOldLater()
}

async function fromShell(request) {
  const cache = await caches.open(SHELL)
  return (await cache.match(request, { ignoreSearch: true })) ?? fetch(request)
}

async function enrolAndTell(event, person, language, known) {
  let told = { ok: true }
  try {
    await enrol(person, language, known)
    await worker.clients.claim()
  } catch (error) {
    console.error(error)
    told = { ok: false }
  }
  event.ports[0]?.postMessage(told)
}

async function syncAndTell() {
  const clients = await worker.clients.matchAll()
  await turnAway(clients)
  const tell = () => clients.forEach((client) => client.postMessage({ type: "changed" }))
  const changed = await synchronise({ open: visitsOf(clients), tell })
  const standing = await standingHere()
  await showOnIcon(standing?.unsent ?? 0)
  for (const client of clients) {
    if (standing) client.postMessage({ type: "standing", ...standing })
  }
  if (!changed) return
  tell()
  await turnAway(clients)
}

/** How much is still to be sent, as a number on the app's icon where the platform shows one. */
async function showOnIcon(count) {
  try {
    await worker.navigator.setAppBadge?.(count) // zero takes it away
  } catch (error) {
    console.warn("no number on the icon:", error.message)
  }
}

/** A page that stands open while its phone is locked has to go too. */
async function turnAway(clients) {
  for (const client of clients) {
    const url = new URL(client.url)
    if (!match("GET", url.pathname)) continue
    const path = await barrier({ method: "GET" }, url)
    if (path) client.postMessage({ type: "barred", path })
  }
}

/** Ids of the visits that the pages of `clients` show. */
function visitsOf(clients) {
  const paths = clients.map((client) => new URL(client.url).pathname.split("/"))
  return new Set(paths.filter(([, first, id]) => first === "visits" && id).map(([, , id]) => id))
}

/** Several forms in a row make one push. */
async function syncSoon() {
  await new Promise((resolve) => setTimeout(resolve, SOON_MS))
  await syncAndTell()
}
