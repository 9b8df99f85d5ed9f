// @ts-check
/**
 * What a customer decides on: a quotation exactly as it was shown.
 * Twin of sync/consent.py, cases in tests/vectors/consent.json.
 */
import { canonical } from "./canonical.js"

/**
 * The id of the quotation to decide on: the newest that stands, empty when there is none.
 * @param {any} state
 */
export function newestQuote(state) {
  const rank = (entry) => `${entry.wall_at} ${entry.id}`
  const quotes = state.entries.filter(isQuote)
  quotes.sort((a, b) => (rank(a) < rank(b) ? -1 : 1))
  return quotes.at(-1)?.id ?? ""
}

/**
 * The canonical text of a quotation as it stands; empty when no such quotation stands.
 * @param {any} state
 * @param {string} id
 */
export function agreed(state, id) {
  const quote = state.entries.find((entry) => isQuote(entry) && entry.id === id)
  return quote ? canonical({ id: quote.id, value: quote.value }) : ""
}

function isQuote(entry) {
  return entry.kind === "quote" && entry.voids.length === 0
}
