// @ts-check
/** Which URLs the phone answers. The table equals Flask's blueprint `engineer`; a test compares. */

/**
 * Those with fewer names first, as Flask prefers them: `/visits/settings` is no visit.
 * @type {{method: string, rule: string, pattern: RegExp, names: string[], handler: Handler}[]}
 */
export const routes = []

/** @typedef {(names: Record<string, string>, asked: {request: Request, url: URL}) => Promise<Response>} Handler */

/** @param {string} rule with `<name>` for one part of the path */
function add(method, rule, handler) {
  const names = [...rule.matchAll(/<(\w+)>/g)].map((found) => found[1])
  const pattern = new RegExp(`^${rule.replace(/<\w+>/g, "([^/]+)")}$`)
  routes.push({ method, rule, pattern, names, handler })
  routes.sort((one, other) => one.names.length - other.names.length)
}

export const get = (rule, handler) => add("GET", rule, handler)
export const post = (rule, handler) => add("POST", rule, handler)
export const put = (rule, handler) => add("PUT", rule, handler)

/** The handler for a request and the names in its path, or null: not ours to answer. */
export function match(method, path) {
  const asked = method === "HEAD" ? "GET" : method
  for (const route of routes) {
    const found = route.method === asked && route.pattern.exec(path)
    if (found) {
      const names = route.names.map((name, index) => [name, decodeURIComponent(found[index + 1])])
      return { handler: route.handler, names: Object.fromEntries(names) }
    }
  }
  return null
}
