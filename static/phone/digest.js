// @ts-check
/** What bytes are named by. */

/**
 * Their SHA-256 in hex.
 * @param {ArrayBuffer} bytes
 */
export async function hashOfBytes(bytes) {
  const digest = await crypto.subtle.digest("SHA-256", bytes)
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("")
}
