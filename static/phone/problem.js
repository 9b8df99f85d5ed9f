// @ts-check
/** Something of the catalogue `sync/problems.py` happened; `code` names it. */
export class Problem extends Error {
  /**
   * @param {string} code
   * @param {Record<string, unknown>} [args]
   */
  constructor(code, args = {}) {
    super(code)
    this.code = code
    this.args = args
  }
}
