// @ts-check
/** After sign-in: the phone becomes its own server, then the day's list opens. */
const GIVE_UP_MS = 30_000

const box = /** @type {HTMLElement} */ (document.querySelector("[data-welcome]"))
const { person, name, language, home } = /** @type {Record<string, string>} */ (box.dataset)

/** Enrol this phone for the person signed in; resolves to whether it worked. */
async function prepare() {
  if (!navigator.serviceWorker) return false
  await navigator.serviceWorker.register("/sw.js", { scope: "/", updateViaCache: "none" })
  const worker = /** @type {ServiceWorker} */ ((await navigator.serviceWorker.ready).active)
  const channel = new MessageChannel()
  const told = new Promise((resolve) => {
    channel.port1.onmessage = (event) => resolve(event.data.ok)
  })
  worker.postMessage({ type: "enrol", person: { id: person, name }, language }, [channel.port2])
  return told
}

function giveUp() {
  box.classList.add("welcome-failed")
}

// A worker that cannot install is never "ready": nobody waits for it for ever. One that comes late
// still opens the list.
setTimeout(giveUp, GIVE_UP_MS)
if (await prepare().catch(() => false)) location.replace(home)
else giveUp()
