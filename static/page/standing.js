// What the worker last said of this phone, noted outside its store: when the browser empties that
// store, the next enrolment tells from here which phone this was and what it still held.

const nameOf = (person) => `phone ${person}`

/** @param {{person: string, device: string, heard_at?: number, unsent: number}} standing */
export function noteStanding({ person, device, heard_at, unsent }) {
  try {
    localStorage.setItem(nameOf(person), JSON.stringify({ device, heard_at, unsent }))
  } catch (error) {
    console.warn("standing not noted:", error.message) // no room, or not allowed
  }
}

/** The note about this person's phone, or null. */
export function standingBefore(person) {
  try {
    return JSON.parse(localStorage.getItem(nameOf(person)) ?? "null")
  } catch {
    return null
  }
}
