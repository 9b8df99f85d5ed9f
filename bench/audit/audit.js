// Lighthouse's mobile preset on pages of a running server. Reads one JSON object from its standard
// input: {chromium, url, people: {engineer, dispatcher}: {account, password}, pages: [{name, path,
// as}]}, `as` is who is signed in; writes a line of JSON for each page: scores of 0 to 100, and
// what cost points.
import { readFileSync } from "node:fs"
import lighthouse from "lighthouse"
import puppeteer from "puppeteer-core"

const CATEGORIES = ["performance", "accessibility", "best-practices"]
const { chromium, url, people, pages } = JSON.parse(readFileSync(0, "utf8"))
const browser = await puppeteer.launch({
  executablePath: chromium,
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"],
})

/** A browser of its own, signed in; an engineer's becomes its own server. */
async function signedIn(who) {
  const context = await browser.createBrowserContext()
  const page = await context.newPage()
  if (!who) return page
  // shown how to install before: the list comes at once
  await page.evaluateOnNewDocument(() => localStorage.setItem("install shown", "1"))
  await page.goto(`${url}/sign-in`)
  await page.type("#account", people[who].account)
  await page.type("#password", people[who].password)
  await Promise.all([page.waitForNavigation(), page.click("main button")])
  const home = who === "engineer" ? "/visits" : "/desk"
  await page.waitForFunction((path) => location.pathname === path, {}, home)
  return page
}

const held = {}
for (const { name, path, as } of pages) {
  const page = (held[as] ??= await signedIn(as))
  // What the phone keeps is the point: nothing of it is cleared before the page is judged.
  const flags = { onlyCategories: CATEGORIES, disableStorageReset: true, logLevel: "error" }
  const { lhr } = await lighthouse(url + path, flags, undefined, page)
  if (lhr.runtimeError) throw new Error(`${name}: ${lhr.runtimeError.message}`)
  const scores = CATEGORIES.map((id) => Math.round(100 * (lhr.categories[id].score ?? 0)))
  const lost = CATEGORIES.flatMap((id) =>
    lhr.categories[id].auditRefs
      .filter(({ id: audit, weight }) => weight && lhr.audits[audit].score !== null && lhr.audits[audit].score < 1)
      .map(({ id: audit }) => `${audit}${lhr.audits[audit].displayValue ? ` ${lhr.audits[audit].displayValue}` : ""}`),
  )
  console.log(JSON.stringify({ name, scores, lost }))
}
await browser.close()
