// @ts-check
/**
 * Which visits the list shows: where each belongs, and whether it is one that is looked for.
 * Twin of fieldapp/listing.py, cases in tests/vectors/listing.json.
 */
import { day, FormatError } from "./format.js"

const SECTIONS = ["today", "finish", "coming", "past", "handed"]
const BEGUN = ["departed", "on-site", "signed", "unsigned"]
const BETWEEN = /[ \t\r\n]+/
const UNHEARD = /[ \t\r\n\u2010-\u2015\u2212\u3001\u3002·_.,:;/()#-]/g
const CAPITALS = /[A-Z\u00c0-\u052f]/g

/**
 * The sections of the list that have visits, in their order; `asked` is `{q, show, state}`. Whoever
 * asks for one section is shown all that belong there: today's unfinished ones too.
 * @param {any[]} states
 * @param {Record<string, string>} asked
 * @param {string} today
 */
export function listed(states, asked, today) {
  const terms = wide(asked.q).split(BETWEEN).map(folded).filter(Boolean)
  /** @type {Record<string, any[]>} */
  const found = Object.fromEntries(SECTIONS.map((name) => [name, []]))
  const keyed = states.map((state) => ({ state, key: appointment(state) || "9" }))
  keyed.sort((a, b) => compare(a.key, b.key) || compare(a.state.visit.id, b.state.visit.id))
  for (const { state } of keyed) {
    const places = placesOf(state, today)
    if (asked.show && !places.includes(asked.show)) continue
    if (asked.state && state.visit.status !== asked.state) continue
    if (terms.length && !hasAll(state, terms)) continue
    found[asked.show || places[0]].push(state)
  }
  found.past.reverse()
  return SECTIONS.filter((name) => found[name].length).map((name) => ({
    name,
    visits: found[name].map((state) => state.visit.id),
  }))
}

/**
 * `text` as it is looked for: whatever its width and case, without blanks and hyphens.
 * @param {string} text
 */
export function folded(text) {
  return wide(text)
    .replace(UNHEARD, "")
    .replace(CAPITALS, (letter) => letter.toLowerCase())
}

function wide(text) {
  return text.normalize("NFKC")
}

/** The sections a visit belongs to, the one it stands in first. */
function placesOf(state, today) {
  if (state.sync.removed) return ["handed"]
  const { status, changes } = state.visit
  const on = dayOf(state)
  const isNow = BEGUN.includes(status) || (status === "planned" && !state.context.work_order.id)
  const isLate = status === "planned" && on !== "" && on < today
  const places = on === today || (!on && isNow) ? ["today"] : []
  if ([...BEGUN, "sent-back"].includes(status) || isLate || changes?.length) places.push("finish")
  if (places.length) return places
  return on > today || (!on && status === "planned") ? ["coming"] : ["past"]
}

/** The day of the appointment on the organisation's clock; empty without one. */
function dayOf(state) {
  try {
    return day(appointment(state), state.context.organisation.offsets)
  } catch (error) {
    if (error instanceof FormatError) return ""
    throw error
  }
}

function appointment(state) {
  const value = state.fields["appointment/at"]?.value
  return typeof value === "string" ? value : ""
}

function hasAll({ context, fields, entries }, terms) {
  const openings = entries.filter(({ kind, voids }) => kind === "opening" && !voids.length)
  const said = [
    context.customer.name,
    context.site.name,
    context.site.address,
    context.contact.name,
    context.work_order.number,
    context.request.number,
    context.asset?.serial,
    context.asset?.model,
    context.asset?.name,
    fields["fault/text"]?.value,
    fields["fault/location"]?.value,
    ...openings.flatMap(({ value }) => [value.customer, value.site, value.text]),
  ]
  const text = said
    .filter((each) => typeof each === "string")
    .map(folded)
    .join("\n")
  return terms.every((term) => text.includes(term))
}

function compare(a, b) {
  return a < b ? -1 : a > b ? 1 : 0
}
