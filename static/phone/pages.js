// @ts-check
/** Arguments of the engineer's pages, as fieldapp/pages.py makes them, and their rendering. */
import { count, clock, day, duration, localInput, moment, money, span, when } from "./format.js"
import { catalogue, displays, headers, messages, problems, publicUrl } from "./generated.js"
import { listed } from "./listing.js"
import { missing, steps, toSign } from "./missing.js"
import { render } from "./runtime.js"
import { readSetting, writeSetting } from "./store.js"
import { templates } from "./templates.js"

const SHOWN = ["today", "finish", "coming", "past"]
const STATUSES = [
  ...["planned", "departed", "on-site", "signed", "unsigned"],
  ...["left", "under-review", "sent-back", "accepted", "cancelled"],
]
const FILTERS = { clock, count, day, duration, local_input: localInput, moment, money, span, when }

/** The sync line of a page that has none. */
const NOTHING = { items: 0, arrived: 0, photos: 0, paused: "", removed: "" }
const NO_FINDING = { field: "", code: "", seconds: "" }

/** Arguments of `engineer/visits.html`; `query` is what the address asks for. */
export function visitsPage(person, states, policy, today, query, phone) {
  const oneOf = (text, known) => (known.includes(text) ? text : "")
  const asked = {
    q: query.get("q") ?? "",
    show: oneOf(query.get("show"), SHOWN),
    state: oneOf(query.get("state"), STATUSES),
  }
  const byId = Object.fromEntries(states.map((state) => [state.visit.id, state]))
  const sections = listed(states, asked, today).map(({ name, visits }) => ({
    name,
    visits: visits.map((id) => byId[id]),
  }))
  const more = { sections, asked, statuses: STATUSES, today, phone }
  return { ...frame("/visits", person, policy, totals(states, phone)), ...more }
}

/** Arguments of `engineer/sync.html`; `phone` is what `standing.js` says of this phone. */
export function syncPage(person, states, policy, phone) {
  return { ...frame("/visits/sync", person, policy, totals(states, phone)), phone }
}

/** Arguments of `engineer/install.html`. */
export function installPage(person, states, policy, phone) {
  return frame("/visits/install", person, policy, totals(states, phone))
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

/** Arguments of `engineer/problem.html`; `way` is where its button leads. */
export function problemPage(person, code, way) {
  return { path: "/visits", person, code, sync: NOTHING, way }
}

/** Arguments of `engineer/pin.html`; `lock` is what `lock.js` says of this phone. */
export function pinPage(person, lock, finding = NO_FINDING) {
  return { path: "/visits/pin", person, sync: NOTHING, lock, finding }
}

/** Arguments of `engineer/lock.html`; `back` is where the reader wanted to go. */
export function lockPage(person, lock, back, finding = NO_FINDING) {
  return { path: "/visits/lock", person, sync: NOTHING, lock, back, finding }
}

/** Arguments of `engineer/revoked.html`: how much waits to be sent. */
export function revokedPage(person, items, photos) {
  return { path: "/visits/revoked", person, sync: NOTHING, items, photos }
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
  const display = (await readSetting("display")) ?? displays[0]
  return render(templates, template, { ...args, ...localised(lang), display }, { filters: FILTERS, messages })
}

/** The reader's language. */
export async function currentLanguage() {
  return (await readSetting("language")) ?? "zh_CN"
}

/** Keep how this phone's pages look.  What is none of ours changes nothing. */
export async function chooseDisplay(display) {
  if (displays.includes(display)) await writeSetting("display", display)
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
