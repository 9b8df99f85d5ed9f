// @ts-check
/** Arguments of the engineer's pages, as fieldapp/pages.py makes them, and their rendering. */
import { count, clock, day, duration, localInput, moment, money, span, when } from "./format.js"
import { catalogue, headers, messages, problems, publicUrl } from "./generated.js"
import { missing, steps, toSign } from "./missing.js"
import { render } from "./runtime.js"
import { readSetting, writeSetting } from "./store.js"
import { templates } from "./templates.js"

/** How pages look; the first is as the device asks.  Twin of fieldapp/display.py. */
const DISPLAYS = ["", "light", "dark", "contrast"]
const FILTERS = { clock, count, day, duration, local_input: localInput, moment, money, span, when }

export function visitsPage(person, states, policy, today, phone) {
  const key = (state) => state.fields["appointment/at"]?.value ?? "9"
  const ordered = [...states].sort(
    (a, b) => compare(key(a), key(b)) || compare(a.visit.id, b.visit.id),
  )
  const sync = totals(states, phone)
  return { ...frame("/visits", person, policy, sync), visits: ordered, today, phone }
}

/** Arguments of `engineer/sync.html`; `phone` is what `standing.js` says of this phone. */
export function syncPage(person, states, policy, phone) {
  return { ...frame("/visits/sync", person, policy, totals(states, phone)), phone }
}

/** Arguments of `engineer/settings.html`. */
export function settingsPage(person, states, policy, phone) {
  return frame("/visits/settings", person, policy, totals(states, phone))
}

/** What the sync line says of all visits together. */
function totals(states, { paused }) {
  const total = (name) => states.reduce((sum, state) => sum + state.sync[name], 0)
  const [items, arrived, photos] = ["items", "arrived", "photos"].map(total)
  return { items, arrived, photos, paused, removed: "" }
}

export function visitPage(person, state, policy) {
  return {
    ...frame(`/visits/${state.visit.id}`, person, policy, state.sync),
    ...state,
    steps: steps(state, policy),
    missing: missing(state, policy),
    to_sign: toSign(state, policy),
  }
}

export function formPage(person, state, policy, kind, form, findings, more) {
  return {
    ...frame(`/visits/${state.visit.id}/${kind.noun}`, person, policy, state.sync),
    ...state,
    kind,
    form,
    findings: Object.fromEntries(findings.map((finding) => [finding.field, finding])),
    missing: missing(state, policy),
    steps: steps(state, policy),
    to_sign: toSign(state, policy),
    ...more,
  }
}

export function problemPage(person, code) {
  const sync = { items: 0, arrived: 0, photos: 0, paused: "", removed: "" }
  return { path: "/visits", person, code, sync }
}

function frame(path, person, policy, sync) {
  return { path, person, policy, sync, public_url: publicUrl }
}

/** The page as an answer to the browser. */
export async function page(template, args, status = 200) {
  const html = await htmlOf(template, args)
  return new Response(html, {
    status,
    headers: { ...headers, "Content-Type": "text/html; charset=utf-8" },
  })
}

export async function htmlOf(template, args) {
  const lang = args.lang || (await currentLanguage())
  const display = (await readSetting("display")) ?? DISPLAYS[0]
  return render(templates, template, { ...args, ...localised(lang), display }, { filters: FILTERS, messages })
}

/** The reader's language. */
export async function currentLanguage() {
  return (await readSetting("language")) ?? "zh_CN"
}

/** Keep how this phone's pages look.  What is none of ours changes nothing. */
export async function chooseDisplay(display) {
  if (DISPLAYS.includes(display)) await writeSetting("display", display)
}

/** Catalogue and sentences in a language: what every page is given. */
function localised(lang) {
  const said = (text) => {
    const found = messages[lang][text] ?? text
    return typeof found === "string" ? found : found[0]
  }
  const fieldIn = (field) => ({
    ...field,
    label: said(field.label),
    hint: field.hint ? said(field.hint) : "",
  })
  const kindIn = (kind) => ({ ...kind, label: said(kind.label), fields: kind.fields.map(fieldIn) })
  const mapped = (record, change) =>
    Object.fromEntries(Object.entries(record).map(([name, item]) => [name, change(item)]))
  return { lang, catalogue: mapped(catalogue, kindIn), problems: mapped(problems, said) }
}

/** Go on to `path`. */
export function seeOther(path) {
  return new Response(null, { status: 303, headers: { ...headers, Location: path } })
}

function compare(a, b) {
  return a < b ? -1 : a > b ? 1 : 0
}
