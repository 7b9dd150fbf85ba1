/** Which methods an address has: for 405 instead of 404, with Allow. */

interface Known {
  readonly parts: readonly string[]
  readonly method: string
}

export interface KnownUrls {
  add(method: string, pattern: string): void
  /** The methods of the route patterns that fit, sorted; none for an address that nobody serves. */
  methodsOf(url: string): string[]
}

export function knownUrls(): KnownUrls {
  const known: Known[] = []
  return {
    add: (method, pattern) => {
      known.push({ parts: pattern.split('/'), method })
    },
    methodsOf: (url) => {
      const parts = (url.split('?', 1)[0] ?? '').split('/')
      const methods = known.filter((one) => fits(one.parts, parts)).map(({ method }) => method)
      return [...new Set(methods)].toSorted()
    },
  }
}

function fits(pattern: readonly string[], parts: readonly string[]): boolean {
  const open = pattern.at(-1) === '*'
  const named = open ? pattern.slice(0, -1) : pattern
  return (
    (open ? parts.length > named.length : parts.length === named.length) &&
    named.every((part, i) => part.startsWith(':') || part === parts[i])
  )
}
