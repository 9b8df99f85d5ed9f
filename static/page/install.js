// Putting the app on the home screen: what the browser offers for it, and the page that explains it.

const NOTE = "install shown"
/** Browsers inside other apps: WeChat and WeCom, QQ, DingTalk, Lark, Alipay, Weibo, Douyin, … */
const IN_APP =
  /MicroMessenger|wxwork|\bQQ\/|DingTalk|Lark|Feishu|AlipayClient|Weibo|aweme|baiduboxapp|FBA[NV]|Instagram|\bLine\/|; wv\)/i

/** The browser's own offer. It comes once a load, on whatever page is open then. */
let offer = null

/**
 * Which way leads to the home screen in a browser: "ios", "android", "in-app" or "desktop".
 * @param {{userAgent: string, maxTouchPoints: number}} browser
 */
export function platformOf({ userAgent, maxTouchPoints }) {
  const isApple = /iPhone|iPad|iPod/.test(userAgent) || (/Macintosh/.test(userAgent) && maxTouchPoints > 1)
  // every browser of an iPhone says Safari, a page inside another app does not
  if (IN_APP.test(userAgent) || (isApple && !/Safari\//.test(userAgent))) return "in-app"
  if (isApple) return "ios"
  return /Android|HarmonyOS/.test(userAgent) ? "android" : "desktop"
}

/** Whether this page runs as an app of its own. */
function isInstalled() {
  return matchMedia("(display-mode: standalone)").matches || navigator.standalone === true
}

/** Where a new phone goes after sign-in: once it is shown how to install, then it goes on to `home`. */
export function firstPage(home) {
  try {
    if (isInstalled() || localStorage.getItem(NOTE)) return home
    localStorage.setItem(NOTE, "1")
  } catch {
    return home // nothing can be noted here: nobody is asked again and again
  }
  return "/visits/install"
}

/** What a page that just came says of this browser. */
export function showInstall() {
  for (const button of document.querySelectorAll("[data-install-ask]")) button.hidden = !offer
  const platform = platformOf(navigator)
  for (const guide of document.querySelectorAll("[data-platform]:not([data-seen])")) {
    guide.dataset.seen = "" // what the reader opens or closes stays so
    guide.open = guide.dataset.platform === platform
  }
  const said = document.querySelector("[data-storage-said]")
  if (said) showStorage(said).catch(() => {})
}

async function showStorage(said) {
  if (!navigator.storage?.persisted) return
  const isKept = await navigator.storage.persisted()
  if (isKept) said.textContent = said.dataset.kept
  for (const button of document.querySelectorAll("[data-storage-ask]")) button.hidden = isKept
}

async function askForStorage() {
  const said = document.querySelector("[data-storage-said]")
  const isKept = await navigator.storage.persist()
  said.textContent = isKept ? said.dataset.kept : said.dataset.refused
  await showStorage(said)
}

async function askToInstall() {
  const said = document.querySelector("[data-install-said]")
  const { outcome } = await offer.prompt()
  said.textContent = outcome === "accepted" ? said.dataset.done : said.dataset.refused
  offer = null // it can be asked once; the browser makes another one later
  showInstall()
}

addEventListener("beforeinstallprompt", (event) => {
  event.preventDefault() // our page asks, in its own words
  offer = event
  showInstall()
})
addEventListener("appinstalled", () => {
  offer = null
  showInstall()
})
document.addEventListener("click", ({ target }) => {
  if (target.closest?.("[data-install-ask]") && offer) askToInstall().catch((error) => console.warn("not installed:", error.message))
  if (target.closest?.("[data-storage-ask]")) askForStorage().catch((error) => console.warn("not asked:", error.message))
})
