// @ts-check
/** After sign-in: the phone becomes its own server, then the day's list opens. */
const GIVE_UP_MS = 20_000

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
    setTimeout(() => resolve(false), GIVE_UP_MS)
  })
  worker.postMessage({ type: "enrol", person: { id: person, name }, language }, [channel.port2])
  return told
}

const ready = await prepare().catch(() => false)
if (ready) location.replace(home)
else box.classList.add("welcome-failed")
