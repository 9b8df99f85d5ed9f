// @ts-check
/** After sign-in: the phone becomes its own server, then the day's list opens, or once how to install it. */
import { firstPage } from "./install.js"
import { standingBefore } from "./standing.js"

const GIVE_UP_MS = 30_000

const box = /** @type {HTMLElement} */ (document.querySelector("[data-welcome]"))
const { person, name, language, home } = /** @type {Record<string, string>} */ (box.dataset)

/** Enrol this phone for the person signed in; resolves to whether it worked. */
async function prepare() {
  if (!navigator.serviceWorker) return false
  await navigator.serviceWorker.register("/sw.js", { scope: "/", updateViaCache: "none" })
  const worker = /** @type {ServiceWorker} */ ((await navigator.serviceWorker.ready).active)
  const channel = new MessageChannel()
  const answered = new Promise((resolve) => {
    channel.port1.onmessage = (event) => resolve(event.data.ok)
  })
  const told = { person: { id: person, name }, language, before: standingBefore(person), isFresh: true }
  worker.postMessage({ type: "enrol", ...told }, [channel.port2])
  return answered
}

function giveUp() {
  box.classList.add("welcome-failed")
}

// A worker that cannot install is never "ready": nobody waits for it for ever. One that comes late
// still opens the list.
setTimeout(giveUp, GIVE_UP_MS)
if (await prepare().catch(() => false)) location.replace(firstPage(home))
else giveUp()
