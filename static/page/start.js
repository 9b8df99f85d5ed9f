// Loaded on every engineer's page: the worker, the sync line, and what the page can do by itself.
//
// Words to the worker: {type: "sync"}, send and fetch now; {type: "enrol", person, language, before},
// who is signed in; {type: "take-over"}, to a waiting worker: nothing is half-typed; {type: "used"},
// somebody touches the phone; {type: "handed", …}, what the customer entered (handed.js).
// Its words to the page: {type: "changed", visit}; without a visit any may have changed;
// {type: "standing", person, device, heard_at, high, unsent}, after each sync; {type: "barred", path}: the
// phone is locked, and this page must give way to its lock.

import { forgetPhotos, showPhotos } from "./camera.js"
import "./copy.js"
import "./handed.js"
import "./hold.js"
import { showInstall } from "./install.js"
import { isHalfTyped, readForms } from "./keep.js"
import { offerMaps } from "./maps.js"
import { fitPads } from "./pad.js"
import "./number.js"
import { offerRecent } from "./phrases.js"
import "./position.js"
import { drawCodes } from "./qr.js"
import "./share.js"
import { noteStanding, standingBefore } from "./standing.js"

const EVERY_MS = 60_000
const USED_MS = 15_000
const worker = navigator.serviceWorker

/** Whatever just came into the page, by a load or by a swap. */
function prepare() {
  // a swap leaves the root as it was: from the engineer's language to the customer's and back
  document.documentElement.lang = document.querySelector("main")?.lang || document.documentElement.lang
  forgetPhotos()
  readForms()
  showPhotos()
  fitPads()
  showInstall()
  offerMaps()
  offerRecent()
  drawCodes().catch((error) => console.warn("no QR code:", error.message))
  if (document.querySelector("[data-forget]")) forget()
}

/** A revoked phone lets go of what pages noted beside the worker's store. */
function forget() {
  sessionStorage.clear()
  for (const name of Object.keys(localStorage)) if (name.startsWith("recent ")) localStorage.removeItem(name)
}

let used_at = 0

/** Typing asks nobody for a page: without a word the phone would lock under somebody's hands. */
function noteUse() {
  if (Date.now() - used_at < USED_MS) return
  used_at = Date.now()
  worker?.controller?.postMessage({ type: "used" })
}

function askForSync() {
  if (document.visibilityState === "visible") worker?.controller?.postMessage({ type: "sync" })
}

/**
 * A new worker takes over only while there is nothing to lose, and the page says what it waits for.
 * Whatever is open stays as it is: the next page comes from the new one.
 */
function letTakeOver({ waiting }) {
  const isHeld = Boolean(waiting) && isHalfTyped()
  for (const line of document.querySelectorAll("[data-new-version]")) line.hidden = !isHeld
  if (waiting && !isHeld) waiting.postMessage({ type: "take-over" })
}

/** Whether a change of `visit` shows on this page: on its own pages and on the list. */
function concerns(visit) {
  return !visit || !location.pathname.startsWith("/visits/") || location.pathname.startsWith(`/visits/${visit}`)
}

let asked = 0

/** Fetch this page again: the sync line always, the rest unless something is half-typed. */
async function refresh() {
  const turn = ++asked
  const address = location.pathname + location.search
  const response = await fetch(address, { headers: { Accept: "text/html" } })
  const text = await response.text()
  const answered = new URL(response.url) // not `redirected`: WebKit does not tell it of the worker
  if (!response.ok || answered.pathname + answered.search !== address || turn !== asked) return
  if (address !== location.pathname + location.search) return
  const page = new DOMParser().parseFromString(text, "text/html")
  const [line, newLine] = [document.querySelector(".sync"), page.querySelector(".sync")]
  if (line && newLine && line.textContent !== newLine.textContent) {
    line.className = newLine.className
    wordsOf(line).textContent = wordsOf(newLine).textContent
  }
  if (isHalfTyped() || !page.querySelector("main")) return
  await htmx.swap({ text, target: "main", select: "main", swap: "innerMorph strip:true", sourceElement: document.body })
}

/** The element whose text the sync line is: its link stays the one that htmx knows. */
function wordsOf(line) {
  return line.querySelector("a") ?? line
}

/** What failed after sign-in is tried again; an enrolled worker controls the page. */
function enrol(registration) {
  const { personId: id, personName: name } = document.body.dataset
  if (worker.controller || !id || !registration.active) return
  const language = document.documentElement.lang.startsWith("zh") ? "zh_CN" : "en"
  registration.active.postMessage({ type: "enrol", person: { id, name }, language, before: standingBefore(id) })
}

async function startWorker() {
  if (!worker) return
  worker.addEventListener("message", ({ data }) => {
    if (data?.type === "standing") noteStanding(data)
    if (data?.type === "barred") location.replace(data.path)
    if (data?.type === "changed" && concerns(data.visit)) refresh().catch(() => {})
  })
  worker.addEventListener("controllerchange", askForSync)
  const registration = await worker.register("/sw.js", { scope: "/", updateViaCache: "none" })
  registration.addEventListener("updatefound", () => {
    registration.installing?.addEventListener("statechange", () => letTakeOver(registration))
  })
  document.addEventListener("htmx:after:swap", () => letTakeOver(registration)) // saved, perhaps
  const look = () => {
    enrol(registration)
    letTakeOver(registration)
    askForSync()
  }
  addEventListener("online", look)
  setInterval(look, EVERY_MS)
  await worker.ready
  look()
}

/** Asked early: a browser short of space must not throw the outbox away. */
async function keepStorage() {
  if (navigator.storage?.persist && !(await navigator.storage.persisted())) await navigator.storage.persist()
}

/** A tap that reached nobody is said, not swallowed. */
function showUnreachable(shown) {
  for (const note of document.querySelectorAll("[data-unreachable]")) note.hidden = !shown
}

prepare()
document.addEventListener("htmx:after:swap", prepare)
document.addEventListener("htmx:error", () => showUnreachable(true))
document.addEventListener("htmx:before:request", () => showUnreachable(false))
document.addEventListener("visibilitychange", askForSync)
addEventListener("pageshow", ({ persisted }) => persisted && askForSync())
for (const touch of ["pointerdown", "keydown"]) document.addEventListener(touch, noteUse, { passive: true })
startWorker().catch((error) => console.warn("no worker:", error.message))
keepStorage().catch(() => {})
