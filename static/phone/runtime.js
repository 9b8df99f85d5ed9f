// @ts-check
/**
 * What compiled templates call: Jinja's values, operators, filters and tests in JavaScript.
 *
 * fieldapp/offline/compiler.py writes the templates, fieldapp/offline/environment.py is the same
 * language in Python; a fuzz test holds the two together byte for byte. Wherever Python and
 * JavaScript would differ, both refuse. Values are JSON's: text, whole numbers, booleans, null,
 * arrays and plain objects. Text is counted in code points and sorted by them, as in Python.
 *
 * @typedef {{root: (context: Context) => string, blocks: Record<string, BlockFunction>}} Compiled
 * @typedef {(context: Context) => string} BlockFunction
 * @typedef {(helpers: object) => Compiled} TemplateFunction
 * @typedef {Record<string, string | string[]>} Messages a message to its translation or forms
 * @typedef {{filters?: Record<string, Function>, messages?: Record<string, Messages>}} Options
 */

/** A template did something that has no meaning: the message is for whoever wrote it. */
export class TemplateError extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message)
    this.name = "TemplateError"
  }
}

/** Text that is HTML already. */
export class Markup {
  /** @param {string} text */
  constructor(text) {
    this.text = text
  }
}

/** What a name stands for that nobody has given a value. Only `is defined` and `default` take it. */
class Undefined {
  /** @param {string} [what] without it: the missing else of a conditional, which prints nothing */
  constructor(what) {
    this.what = what
  }
}

/** A Python tuple: never equal to a list. */
class Tuple extends Array {}

/** The value of a variable before its first assignment. */
const missing = Symbol("missing")

/** A thing a template can call. */
class Callable {
  /** @param {(args: unknown[], keywords: Record<string, unknown>) => unknown} run */
  constructor(run) {
    this.run = run
  }
}

class Namespace {
  /** @param {Record<string, unknown>} values */
  constructor(values) {
    this.values = new Map(Object.entries(values))
  }
}

/** What a template exports to the one that imports it. */
class Module {
  /** @param {Map<string, unknown>} exported */
  constructor(exported) {
    this.exported = exported
  }
}

/** @param {string} message @returns {never} */
function fail(message) {
  throw new TemplateError(message)
}

/** @param {unknown} value @returns {string} the type as a template author would name it */
function kind(value) {
  if (value === null) return "None"
  if (typeof value === "string" || value instanceof Markup) return "text"
  if (Array.isArray(value)) return "a list"
  if (typeof value === "number") return "a number"
  if (typeof value === "boolean") return "a boolean"
  return isDict(value) ? "a dict" : "an object"
}

/** @param {unknown} value @returns {value is Undefined & {what: string}} */
function isStrict(value) {
  return value instanceof Undefined && value.what !== undefined
}

/** @param {unknown} value */
function refuseUndefined(value) {
  if (isStrict(value)) fail(`${value.what} is undefined`)
}

/** @param {unknown} value @returns {value is Record<string, unknown>} */
function isDict(value) {
  if (typeof value !== "object" || value === null) return false
  const prototype = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** @param {unknown} value @returns {value is string | Markup} */
function isText(value) {
  return typeof value === "string" || value instanceof Markup
}

/** @param {string | Markup} text @returns {string} */
function plain(text) {
  return typeof text === "string" ? text : text.text
}

/** @param {string} text @param {unknown} like @returns {string | Markup} */
function marked(text, like) {
  return like instanceof Markup ? new Markup(text) : text
}

/** @param {string} text @returns {string[]} */
function codePoints(text) {
  return Array.from(text)
}

/** @param {string} text @returns {number} */
function textLength(text) {
  return /[\ud800-\udfff]/.test(text) ? codePoints(text).length : text.length
}

/** @param {unknown} value @returns {number} a boolean counts as 0 or 1, as in Python */
function whole(value) {
  if (!Number.isSafeInteger(value)) {
    refuseUndefined(value)
    fail(`expected a whole number, not ${kind(value)}`)
  }
  return /** @type {number} */ (value)
}

/**
 * What a page may show as it is: text and whole numbers. Twin of fieldapp/offline/printing.py.
 * @param {unknown} value @returns {string | Markup}
 */
export function printable(value) {
  if (isText(value)) return value
  if (Number.isSafeInteger(value)) return String(value)
  refuseUndefined(value)
  if (value instanceof Undefined) return ""
  return fail(`a template may print text and whole numbers, not ${kind(value)}`)
}

const ESCAPES = /** @type {Record<string, string>} */ ({
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&#34;",
  "'": "&#39;",
})

/** @param {string | Markup} text @returns {string} HTML */
function escaped(text) {
  if (text instanceof Markup) return text.text
  return /[&<>"']/.test(text) ? text.replace(/[&<>"']/g, (character) => ESCAPES[character]) : text
}

/** @param {unknown} value @returns {string} HTML */
export function esc(value) {
  return escaped(printable(value))
}

/** The text of a filter or call block, which Jinja prints without escaping it again.
 * @param {unknown} value @returns {string} */
function raw(value) {
  return isText(value) ? plain(value) : fail(`a block may give text, not ${kind(value)}`)
}

/** @param {string} [what] @returns {Undefined} */
function undef(what) {
  return new Undefined(what)
}

/** The value of a variable that may not have one. @param {unknown} value @param {string} name */
function chosen(value, name) {
  return value === missing ? new Undefined(name) : value
}

// -- looking into values

/** @param {Record<string, unknown>} dict @param {string} key */
function has(dict, key) {
  return Object.hasOwn(dict, key) && dict[key] !== undefined
}

/** @param {Record<string, unknown>} dict @returns {string[]} */
function keysOf(dict) {
  const keys = Object.keys(dict)
  for (const key of keys) {
    // JavaScript moves such keys to the front; what has an order belongs in a list.
    if (/^(?:0|[1-9][0-9]*)$/.test(key)) fail(`a dict with the key ${key} has no order`)
  }
  return keys.filter((key) => dict[key] !== undefined)
}

const METHODS = new Map(
  Object.entries({
    /** @param {Record<string, unknown>} dict */
    items: (dict) => keysOf(dict).map((key) => tuple([key, dict[key]])),
    keys: keysOf,
    /** @param {Record<string, unknown>} dict */
    values: (dict) => keysOf(dict).map((key) => dict[key]),
    /** @param {Record<string, unknown>} dict @param {unknown} key @param {unknown} other */
    get: (dict, key, other = null) => (tests.in(key, dict) ? dict[plain(/** @type {string} */ (key))] : other),
  }),
)

/** @param {unknown} object @param {string} name @returns {unknown} */
function attr(object, name) {
  if (isDict(object)) {
    if (has(object, name)) return object[name]
    const method = /** @type {Function | undefined} */ (METHODS.get(name))
    if (method) return dictMethod(object, name, method)
  } else if (object instanceof Undefined) {
    fail(`${object.what ?? "the missing else of a conditional"} is undefined`)
  } else if (object instanceof Loop) {
    return object.attribute(name)
  } else if (object instanceof Namespace && object.values.has(name)) {
    return object.values.get(name)
  } else if (object instanceof Module && object.exported.has(name)) {
    return object.exported.get(name)
  }
  return new Undefined(name)
}

/** @param {Record<string, unknown>} dict @param {string} name @param {Function} method */
function dictMethod(dict, name, method) {
  return new Callable((args, keywords) => {
    const most = name === "get" ? 2 : 0
    if (args.length > most || args.length < Math.min(most, 1)) fail(`${name}() of a dict`)
    const extra = Object.keys(keywords)
    if (extra.length > 0) fail(`${name}() takes no argument ${extra[0]}`)
    return method(dict, ...args)
  })
}

/** @param {unknown} object @param {unknown} key @returns {unknown} */
function item(object, key) {
  if (key instanceof Undefined) fail("undefined used as a key")
  if (isDict(object)) {
    if (isText(key) && has(object, plain(key))) return object[plain(key)]
  } else if (isText(object) || Array.isArray(object)) {
    if (Number.isSafeInteger(key)) {
      const parts = isText(object) ? codePoints(plain(object)) : object
      const index = /** @type {number} */ (key)
      const found = parts[index < 0 ? index + parts.length : index]
      if (found !== undefined) return isText(object) ? marked(found, object) : found
    }
  } else if (object !== null && typeof object === "object") {
    if (isText(key)) return attr(object, plain(key))
    refuseUndefined(object)
    if (object instanceof Undefined) fail("an item of an undefined value")
  }
  return new Undefined(isText(key) ? plain(key) : String(key))
}

/** @param {unknown} object @param {(string | number)[]} path @returns {unknown} */
function follow(object, path) {
  return path.reduce(item, object)
}

/** @param {unknown} value @param {unknown} start @param {unknown} stop @returns {unknown} */
function slice(value, start, stop) {
  const from = start === null ? 0 : bound(start)
  const to = stop === null ? undefined : bound(stop)
  if (Array.isArray(value)) return value.slice(from, to)
  if (isText(value)) return marked(codePoints(plain(value)).slice(from, to).join(""), value)
  refuseUndefined(value)
  return fail(`a slice of ${kind(value)}`)
}

/** @param {unknown} value @returns {number} */
function bound(value) {
  return typeof value === "boolean" ? Number(value) : whole(value)
}

/** @param {unknown} value @returns {Iterable<unknown>} */
function iter(value) {
  if (Array.isArray(value)) return value
  if (isText(value)) return plain(value)
  if (isDict(value)) return keysOf(value)
  if (isGenerator(value)) return value
  refuseUndefined(value)
  if (value instanceof Undefined) return []
  return fail(`${kind(value)} cannot be gone through`)
}

/** @param {unknown} value @returns {value is Generator} */
function isGenerator(value) {
  return typeof value === "object" && value !== null && !isDict(value) && "next" in value && "throw" in value
}

/** @param {unknown} value @param {number} count @returns {unknown[]} */
function unpack(value, count) {
  const parts = [...iter(value)]
  if (parts.length !== count) fail(`expected ${count} values, got ${parts.length}`)
  return parts
}

/** @param {unknown[]} values @returns {Tuple} */
function tuple(values) {
  return Tuple.from(values)
}

/** @param {[string, unknown][]} pairs @returns {Record<string, unknown>} */
function dict(pairs) {
  return Object.fromEntries(pairs)
}

/** @param {unknown} namespace @param {string} name @param {unknown} value */
function setAttr(namespace, name, value) {
  if (!(namespace instanceof Namespace)) fail("only a namespace has attributes to assign")
  else namespace.values.set(name, value)
}

// -- operators

/** @param {unknown} value @returns {boolean} */
export function truth(value) {
  if (isText(value)) return plain(value) !== ""
  if (Array.isArray(value)) return value.length > 0
  if (isDict(value)) return Object.keys(value).length > 0
  refuseUndefined(value)
  return value instanceof Undefined ? false : Boolean(value)
}

/** @param {unknown} left @param {unknown} right @returns {unknown} */
function add(left, right) {
  if (isText(left) && isText(right)) {
    if (left instanceof Markup || right instanceof Markup) {
      return new Markup(escaped(left) + escaped(right))
    }
    return left + right
  }
  if (Array.isArray(left) && Array.isArray(right)) {
    if (left instanceof Tuple !== right instanceof Tuple) fail("a list and a tuple do not add up")
    return left.concat(right)
  }
  return whole(whole(left) + whole(right))
}

/** @param {unknown} left @param {unknown} right @returns {number} */
function subtract(left, right) {
  return whole(whole(left) - whole(right))
}

/** @param {unknown} left @param {unknown} right @returns {number} */
function multiply(left, right) {
  return whole(whole(left) * whole(right))
}

/** @param {unknown} left @param {unknown} right @returns {number} */
function floorDivide(left, right) {
  const [dividend, divisor] = [whole(left), whole(right)]
  // Through the remainder: near 2^53 the quotient itself would be rounded before it is cut.
  return (dividend - modulo(dividend, divisor)) / divisor
}

/** @param {unknown} left @param {unknown} right @returns {number} with the sign of the divisor */
function modulo(left, right) {
  const [dividend, divisor] = [whole(left), whole(right)]
  if (divisor === 0) fail("division by zero")
  const rest = dividend % divisor
  return rest !== 0 && rest < 0 !== divisor < 0 ? rest + divisor : rest
}

/** `~` @param {unknown[]} operands @returns {string | Markup} */
function concat(operands) {
  const texts = operands.map(printable)
  return texts.some((text) => text instanceof Markup)
    ? new Markup(texts.map(escaped).join(""))
    : texts.join("")
}

/** @param {unknown} left @param {unknown} right @returns {boolean} */
function same(left, right) {
  return left === right || equal(left, right)
}

/** @param {unknown} left @param {unknown} right @returns {boolean} */
function equal(left, right) {
  refuseUndefined(left)
  refuseUndefined(right)
  if (left instanceof Undefined || right instanceof Undefined) {
    return left instanceof Undefined && right instanceof Undefined
  }
  if (isText(left) && isText(right)) return plain(left) === plain(right)
  if (Array.isArray(left) && Array.isArray(right)) {
    return (
      left instanceof Tuple === right instanceof Tuple &&
      left.length === right.length &&
      left.every((value, index) => same(value, right[index]))
    )
  }
  if (isDict(left) && isDict(right)) {
    const keys = Object.keys(left)
    return (
      keys.length === Object.keys(right).length &&
      keys.every((key) => Object.hasOwn(right, key) && same(left[key], right[key]))
    )
  }
  return numeric(left) === numeric(right)
}

/** @param {unknown} value @returns {unknown} true is 1 in Python */
function numeric(value) {
  return typeof value === "boolean" ? Number(value) : value
}

/** @param {unknown} left @param {unknown} right @returns {boolean} */
function less(left, right) {
  if (isText(left) && isText(right)) return textLess(plain(left), plain(right))
  if (Array.isArray(left) && Array.isArray(right)) {
    if (left instanceof Tuple !== right instanceof Tuple) fail("a list and a tuple have no order")
    for (let index = 0; index < left.length && index < right.length; index += 1) {
      if (!same(left[index], right[index])) return less(left[index], right[index])
    }
    return left.length < right.length
  }
  const [one, other] = [numeric(left), numeric(right)]
  if (typeof one === "number" && typeof other === "number") return one < other
  refuseUndefined(left)
  refuseUndefined(right)
  return fail(`${kind(left)} and ${kind(right)} have no order`)
}

/** By code point; JavaScript's own `<` sorts emoji before U+E000. @param {string} left @param {string} right */
function textLess(left, right) {
  const length = Math.min(left.length, right.length)
  for (let index = 0; index < length; index += 1) {
    if (left.charCodeAt(index) !== right.charCodeAt(index)) {
      return Number(left.codePointAt(index)) < Number(right.codePointAt(index))
    }
  }
  return left.length < right.length
}

/** @param {unknown} value @returns {boolean} */
function isHashable(value) {
  refuseUndefined(value)
  if (value instanceof Tuple) return value.every(isHashable)
  return !Array.isArray(value) && !isDict(value)
}

/** Jinja's tests, and the comparison operators. */
export const tests = {
  /** @param {unknown} value */
  boolean: (value) => typeof value === "boolean",
  /** @param {unknown} value */
  defined: (value) => !(value instanceof Undefined),
  /** @param {unknown} value @param {unknown} number */
  divisibleby: (value, number) => modulo(value, number) === 0,
  /** @param {unknown} left @param {unknown} right */
  eq: (left, right) => equal(left, right),
  /** @param {unknown} value */
  even: (value) => modulo(value, 2) === 0,
  /** @param {unknown} value */
  false: (value) => value === false,
  /** @param {unknown} left @param {unknown} right */
  ge: (left, right) => !less(left, right),
  /** @param {unknown} left @param {unknown} right */
  gt: (left, right) => less(right, left),
  /** @param {unknown} value @param {unknown} container @returns {boolean} */
  in: (value, container) => {
    if (Array.isArray(container)) return container.some((entry) => same(entry, value))
    if (isText(container)) {
      if (!isText(value)) fail(`${kind(value)} in text`)
      return plain(container).includes(plain(/** @type {string} */ (value)))
    }
    if (isDict(container)) {
      if (!isHashable(value)) fail(`${kind(value)} cannot be a key`)
      return isText(value) && has(container, plain(value))
    }
    refuseUndefined(container)
    return fail(`nothing is in ${kind(container)}`)
  },
  /** @param {unknown} value */
  integer: (value) => typeof value === "number" && Number.isInteger(value),
  /** @param {unknown} left @param {unknown} right */
  le: (left, right) => !less(right, left),
  /** @param {unknown} left @param {unknown} right */
  lt: (left, right) => less(left, right),
  /** @param {unknown} value */
  mapping: (value) => isDict(value),
  /** @param {unknown} left @param {unknown} right */
  ne: (left, right) => !equal(left, right),
  /** @param {unknown} value */
  none: (value) => value === null,
  /** @param {unknown} value */
  odd: (value) => modulo(value, 2) === 1,
  /** @param {unknown} value */
  string: (value) => isText(value),
  /** @param {unknown} value */
  true: (value) => value === true,
  /** @param {unknown} value */
  undefined: (value) => value instanceof Undefined,
}

// -- filters

/** @param {unknown} value @returns {unknown} */
function lowered(value) {
  return isText(value) ? plain(value).toLowerCase() : value
}

/** Python's white space, which is not JavaScript's. */
const SPACE = "\\t-\\r\\x1c- \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000"
const OUTER_SPACE = new RegExp(`^[${SPACE}]+|[${SPACE}]+$`, "g")

/** @param {unknown} value @returns {number} */
function length(value) {
  if (isText(value)) return textLength(plain(value))
  if (Array.isArray(value)) return value.length
  if (isDict(value)) return Object.keys(value).length
  if (value instanceof Loop) return value.length
  refuseUndefined(value)
  return value instanceof Undefined ? 0 : fail(`${kind(value)} has no length`)
}

/** Jinja's filters; arguments are in Jinja's order, and left out as `undefined`. */
export const filters = {
  /** @param {unknown} value @param {unknown} columns @param {unknown} filler */
  batch(value, columns, filler = null) {
    const width = whole(columns)
    if (width < 1) fail("a row has at least one column")
    const entries = [...iter(value)]
    const rows = []
    for (let start = 0; start < entries.length; start += width) {
      const row = entries.slice(start, start + width)
      while (filler !== null && row.length < width) row.push(filler)
      rows.push(row)
    }
    return rows
  },
  /** @param {unknown} value @param {unknown} other @param {unknown} falseToo */
  default(value, other = "", falseToo = false) {
    return value instanceof Undefined || (truth(falseToo) && !truth(value)) ? other : value
  },
  /** @param {unknown} value */
  escape(value) {
    return new Markup(esc(value))
  },
  /** @param {unknown} value */
  first(value) {
    for (const entry of iter(value)) return entry
    return new Undefined("the first of nothing")
  },
  /** @param {unknown} value @param {unknown} other */
  int(value, other = 0) {
    refuseUndefined(value)
    if (typeof value === "number") return whole(value)
    const match = isText(value) && /^[ \t\n\r]*([+-]?[0-9]{1,16})[ \t\n\r]*$/.exec(plain(value))
    const number = match ? Number(match[1]) : NaN
    return Number.isSafeInteger(number) ? number : other
  },
  /** @param {unknown} value @param {unknown} separator @param {(string | number)[] | null} path */
  join(value, separator = "", path = null) {
    const entries = [...iter(value)]
    const found = path === null ? entries : entries.map((entry) => follow(entry, path))
    const texts = found.map(printable)
    const between = printable(separator)
    if (between instanceof Markup || texts.some((text) => text instanceof Markup)) {
      return new Markup(texts.map(escaped).join(escaped(between)))
    }
    return texts.join(between)
  },
  /** @param {unknown} value */
  last(value) {
    const entries = [...iter(value)]
    return entries.length > 0 ? entries[entries.length - 1] : new Undefined("the last of nothing")
  },
  length,
  /** @param {unknown} value */
  list(value) {
    return [...iter(value)]
  },
  /** @param {unknown} value */
  lower(value) {
    const text = printable(value)
    return marked(plain(text).toLowerCase(), text)
  },
  /** @param {unknown} value @param {(string | number)[]} path @param {unknown} other */
  map(value, path, other = null) {
    if (!truth(value)) return []
    return Array.from(iter(value), (entry) =>
      path.reduce((/** @type {unknown} */ object, key) => {
        const found = item(object, key)
        return other !== null && found instanceof Undefined ? other : found
      }, entry),
    )
  },
  /** @param {unknown} value @param {unknown} old @param {unknown} replacement @param {unknown} limit */
  replace(value, old, replacement, limit = null) {
    const [text, before, after] = [printable(value), printable(old), printable(replacement)]
    const isMarked =
      text instanceof Markup || before instanceof Markup || after instanceof Markup
    const most = limit === null ? -1 : whole(limit)
    const inside = isMarked ? escaped(text) : plain(text)
    const put = isMarked ? escaped(after) : plain(after)
    return marked(replaced(inside, plain(before), put, most), isMarked ? new Markup("") : "")
  },
  /**
   * select, reject, selectattr and rejectattr
   * @param {unknown} value @param {boolean} keep @param {(string | number)[]} path
   * @param {Function} test @param {unknown[]} args
   */
  select(value, keep, path, test, args) {
    if (!truth(value)) return []
    return [...iter(value)].filter((entry) => test(follow(entry, path), ...args) === keep)
  },
  /**
   * @param {unknown} value @param {unknown} reverse @param {unknown} caseSensitive
   * @param {(string | number)[][]} paths
   */
  sort(value, reverse = false, caseSensitive = false, paths = [[]]) {
    const isExact = truth(caseSensitive)
    const keyed = Array.from(iter(value), (entry) => ({
      entry,
      key: paths.map((path) => {
        const found = follow(entry, path)
        return isExact ? found : lowered(found)
      }),
    }))
    const direction = typeof reverse === "boolean" ? Number(reverse) : whole(reverse)
    const sign = direction === 0 ? 1 : -1
    keyed.sort((one, other) => {
      if (less(one.key, other.key)) return -sign
      return less(other.key, one.key) ? sign : 0
    })
    return keyed.map(({ entry }) => entry)
  },
  /** @param {unknown} value */
  string(value) {
    return printable(value)
  },
  /** @param {unknown} value @param {(string | number)[] | null} path @param {unknown} start */
  sum(value, path = null, start = 0) {
    let total = whole(start)
    for (const entry of iter(value)) {
      total = whole(total + whole(path === null ? entry : follow(entry, path)))
    }
    return total
  },
  /** @param {unknown} value @param {unknown} characters */
  trim(value, characters = null) {
    const text = printable(value)
    if (characters === null) return marked(plain(text).replace(OUTER_SPACE, ""), text)
    const unwanted = new Set(codePoints(plain(printable(characters))))
    const points = codePoints(plain(text))
    let [start, stop] = [0, points.length]
    while (start < stop && unwanted.has(points[start])) start += 1
    while (stop > start && unwanted.has(points[stop - 1])) stop -= 1
    return marked(points.slice(start, stop).join(""), text)
  },
  /** @param {unknown} value */
  upper(value) {
    const text = printable(value)
    return marked(plain(text).toUpperCase(), text)
  },
  /** @param {unknown} value */
  urlencode(value) {
    return encodeURIComponent(plain(printable(value)))
      .replace(/%2F/g, "/")
      .replace(/[!'()*]/g, (c) => "%" + c.charCodeAt(0).toString(16).toUpperCase())
  },
}

/**
 * @param {string} text @param {string} old @param {string} replacement
 * @param {number} limit below zero: all
 * @returns {string}
 */
function replaced(text, old, replacement, limit) {
  // Python puts the replacement between any two characters when there is nothing to look for.
  const parts = old === "" ? ["", ...codePoints(text), ""] : text.split(old)
  const count = limit < 0 ? parts.length - 1 : Math.min(limit, parts.length - 1)
  if (count === 0) return text
  const head = parts.slice(0, count + 1).join(replacement)
  const tail = parts.slice(count + 1)
  return tail.length === 0 ? head : head + old + tail.join(old)
}

/** @param {unknown[]} bounds @returns {number[]} */
function range(bounds) {
  const numbers = bounds.map(whole)
  if (numbers.length < 1 || numbers.length > 3) fail("range takes one to three numbers")
  const [start, stop, step] =
    numbers.length === 1 ? [0, numbers[0], 1] : [numbers[0], numbers[1], numbers[2] ?? 1]
  if (step === 0) fail("range with a step of zero")
  const count = Math.max(0, Math.ceil((stop - start) / step))
  if (count > 1000) fail("a page needs no range of more than 1,000 numbers")
  return Array.from({ length: count }, (_, index) => start + index * step)
}

// -- loops, macros and templates

/** The `loop` of a for loop. Looks ahead only when asked, as Jinja does. */
class Loop {
  #source
  #iterator
  /** @type {unknown} */
  #after = missing
  /** @type {unknown} */
  #before = missing
  /** @type {unknown} */
  #changed = missing
  #index0 = -1
  #length = -1
  /** @type {unknown} */
  current = missing

  /** @param {unknown} source */
  constructor(source) {
    this.#source = source
    this.#iterator = iter(source)[Symbol.iterator]()
  }

  /** @returns {unknown} */
  #pull() {
    const { done, value } = this.#iterator.next()
    return done ? missing : value
  }

  #peek() {
    if (this.#after === missing) this.#after = this.#pull()
    return this.#after
  }

  /** @returns {boolean} whether there is another item, now `current` */
  next() {
    const value = this.#after === missing ? this.#pull() : this.#after
    this.#after = missing
    if (value === missing) return false
    this.#index0 += 1
    this.#before = this.current
    this.current = value
    return true
  }

  /** @returns {number} */
  get length() {
    if (this.#length < 0) {
      if (isGenerator(this.#source)) {
        const rest = [...{ [Symbol.iterator]: () => this.#iterator }]
        this.#iterator = rest[Symbol.iterator]()
        this.#length = rest.length + this.#index0 + 1 + (this.#after === missing ? 0 : 1)
      } else {
        this.#length = length(this.#source)
      }
    }
    return this.#length
  }

  /** @param {string} name @returns {unknown} */
  attribute(name) {
    switch (name) {
      case "index":
        return this.#index0 + 1
      case "index0":
        return this.#index0
      case "revindex":
        return this.length - this.#index0
      case "revindex0":
        return this.length - this.#index0 - 1
      case "length":
        return this.length
      case "first":
        return this.#index0 === 0
      case "last":
        return this.#peek() === missing
      case "depth":
        return 1
      case "depth0":
        return 0
      case "previtem":
        return this.#index0 === 0 ? new Undefined("the item before the first") : this.#before
      case "nextitem": {
        const next = this.#peek()
        return next === missing ? new Undefined("the item after the last") : next
      }
      case "cycle":
        return positional("loop.cycle", (...values) => {
          if (values.length === 0) fail("nothing to cycle through")
          return values[this.#index0 % values.length]
        })
      case "changed":
        return positional("loop.changed", (...values) => {
          const now = tuple(values)
          if (this.#changed !== missing && same(this.#changed, now)) return false
          this.#changed = now
          return true
        })
      default:
        return new Undefined(name)
    }
  }
}

/** @param {string} name @param {(...args: unknown[]) => unknown} run @returns {Callable} */
function positional(name, run) {
  return new Callable((args, keywords) => {
    const extra = Object.keys(keywords)
    if (extra.length > 0) fail(`${name} takes no argument ${extra[0]}`)
    return run(...args)
  })
}

/**
 * @param {string} name @param {string[]} parameters @param {boolean} takesCaller
 * @param {(...values: any[]) => string} body
 * @returns {Callable}
 */
function macro(name, parameters, takesCaller, body) {
  return new Callable((args, keywords) => {
    if (args.length > parameters.length) fail(`${name} takes ${parameters.length} arguments`)
    const rest = new Map(Object.entries(keywords))
    const values = parameters.map((parameter, index) => {
      if (index < args.length) return args[index]
      const value = rest.has(parameter) ? rest.get(parameter) : missing
      rest.delete(parameter)
      return value
    })
    if (takesCaller) {
      values.push(rest.has("caller") ? rest.get("caller") : new Undefined("caller"))
      rest.delete("caller")
    }
    for (const extra of rest.keys()) fail(`${name} takes no argument ${extra}`)
    return new Markup(body(...values))
  })
}

/** @param {unknown} callee @param {unknown[]} args @param {Record<string, unknown>} keywords */
function call(callee, args, keywords) {
  if (callee instanceof Callable) return callee.run(args, keywords)
  refuseUndefined(callee)
  return fail(`${kind(callee)} cannot be called`)
}

/** The variables of one template while it renders. */
class Context {
  /** @type {Map<string, unknown>} */
  #variables = new Map()
  /** @type {Set<string>} */
  #exported = new Set()
  /** @type {Map<string, BlockFunction[]>} */
  #blocks = new Map()
  #rendering
  #given

  /** @param {Rendering} rendering @param {Map<string, unknown>} given @param {Compiled} template */
  constructor(rendering, given, template) {
    this.#rendering = rendering
    this.#given = given
    this.#addBlocks(template)
  }

  /** @param {Compiled} template */
  #addBlocks(template) {
    for (const [name, block] of Object.entries(template.blocks)) {
      this.#blocks.set(name, [...(this.#blocks.get(name) ?? []), block])
    }
  }

  /** @param {string} name @returns {unknown} */
  resolve(name) {
    if (this.#variables.has(name)) return this.#variables.get(name)
    return this.#given.has(name) ? this.#given.get(name) : missing
  }

  /** @param {string} name @param {unknown} value */
  keep(name, value) {
    this.#variables.set(name, value)
    this.#exported.delete(name)
  }

  /** @param {string} name @param {unknown} value */
  publish(name, value) {
    this.#variables.set(name, value)
    this.#exported.add(name)
  }

  /** @param {string} name @returns {Compiled} the parent */
  extends(name) {
    const parent = this.#rendering.template(name)
    this.#addBlocks(parent)
    return parent
  }

  /** @param {string} name @returns {string} HTML */
  block(name) {
    const [block] = this.#blocks.get(name) ?? []
    return block(this)
  }

  /** @param {string} name @param {BlockFunction} current @returns {unknown} */
  super(name, current) {
    const blocks = this.#blocks.get(name) ?? []
    const parent = blocks[blocks.indexOf(current) + 1]
    if (!parent) return new Undefined(`the parent of block ${name}`)
    return positional("super", () => new Markup(parent(this)))
  }

  /** @param {Record<string, unknown>} locals @returns {Map<string, unknown>} */
  #all(locals) {
    const all = new Map([...this.#given, ...this.#variables])
    for (const [name, value] of Object.entries(locals)) {
      if (value !== missing) all.set(name, value)
    }
    return all
  }

  /** @param {string} name @param {Record<string, unknown>} locals @returns {string} HTML */
  include(name, locals) {
    const template = this.#rendering.template(name)
    return template.root(new Context(this.#rendering, this.#all(locals), template))
  }

  /** @param {string} name @param {Record<string, unknown> | null} locals @returns {Module} */
  load(name, locals) {
    const template = this.#rendering.template(name)
    const lang = this.resolve("lang")
    const given = locals
      ? this.#all(locals)
      : new Map(lang === missing || lang === null ? [] : [["lang", lang]])
    const context = new Context(this.#rendering, given, template)
    template.root(context)
    return new Module(
      new Map([...context.#exported].map((key) => [key, context.#variables.get(key)])),
    )
  }

  /** @param {string} name @param {unknown[]} args @returns {unknown} */
  format(name, args) {
    return this.#rendering.format(name, args)
  }

  /** @returns {Messages} */
  #messages() {
    const { messages } = this.#rendering
    const lang = this.resolve("lang")
    if (!isText(lang) || !Object.hasOwn(messages, plain(lang))) fail("lang is no known language")
    return messages[plain(/** @type {string} */ (lang))]
  }

  /** @param {string} message @param {Record<string, unknown>} variables @returns {Markup} */
  gettext(message, variables) {
    const messages = this.#messages()
    const found = Object.hasOwn(messages, message) ? messages[message] : message
    return fill(typeof found === "string" ? found : found[0], variables)
  }

  /**
   * @param {string} one @param {string} many @param {unknown} number
   * @param {Record<string, unknown>} variables
   * @returns {Markup}
   */
  ngettext(one, many, number, variables) {
    const messages = this.#messages()
    const found = Object.hasOwn(messages, one) ? messages[one] : ""
    const forms = typeof found === "string" ? [one, many] : found
    // One form (Chinese) is for every number; of two (English) the first is for exactly 1.
    const text = whole(number) === 1 || forms.length === 1 ? forms[0] : forms[1]
    return fill(text, { num: number, ...variables })
  }
}

/** @param {string} text @param {Record<string, unknown>} variables @returns {Markup} */
function fill(text, variables) {
  const html = text.replace(/%(?:(%)|\(([A-Za-z_][A-Za-z0-9_]*)\)s)?/g, (_, percent, name) => {
    if (percent) return "%"
    if (name === undefined) fail(`a translation may hold %(name)s and %%, nothing else: ${text}`)
    if (!Object.hasOwn(variables, name)) fail(`${name} was not given to a translation`)
    return esc(variables[name])
  })
  return new Markup(html)
}

/** One page being made: what all its templates share. */
class Rendering {
  #templates

  /** @param {Record<string, TemplateFunction>} templates @param {Options} options */
  constructor(templates, { filters: formatters = {}, messages = {} }) {
    this.#templates = templates
    this.formatters = formatters
    this.messages = messages
  }

  /** @param {string} name @returns {Compiled} */
  template(name) {
    if (!Object.hasOwn(this.#templates, name)) fail(`no template ${name}`)
    const make = this.#templates[name]
    let compiled = made.get(make)
    if (!compiled) made.set(make, (compiled = make(helpers)))
    return compiled
  }

  /** @param {string} name @param {unknown[]} args @returns {unknown} */
  format(name, args) {
    if (!Object.hasOwn(this.formatters, name)) fail(`no filter ${name}`)
    args.forEach(refuseUndefined)
    return this.formatters[name](...args.map((arg) => (arg instanceof Markup ? arg.text : arg)))
  }
}

/** Compiled templates that have been set up once. @type {WeakMap<TemplateFunction, Compiled>} */
const made = new WeakMap()

const helpers = {
  Loop, Markup, Namespace, add, attr, call, chosen, concat, dict, esc, filters, floorDivide, item,
  iter, macro, missing, modulo, multiply, range, raw, setAttr, slice, subtract, tests, truth,
  tuple, undef, unpack,
}

/**
 * Render one page.
 *
 * @param {Record<string, TemplateFunction>} templates from fieldapp/offline/compiler.py
 * @param {string} name of the template
 * @param {Record<string, unknown>} args what the template is given; `lang` chooses the messages
 * @param {Options} [options] formatting filters by name, messages by language
 * @returns {string} HTML
 * @throws {TemplateError} for an undefined value, a value that cannot be printed, an unknown name
 */
export function render(templates, name, args, options = {}) {
  const rendering = new Rendering(templates, options)
  const template = rendering.template(name)
  const given = new Map(Object.entries(args).filter(([, value]) => value !== undefined))
  return template.root(new Context(rendering, given, template))
}
