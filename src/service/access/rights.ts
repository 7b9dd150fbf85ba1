/** Who may do what: three rights, each containing the ones before it. */

export const RIGHTS = ['read', 'append', 'admin'] as const
export type Right = (typeof RIGHTS)[number]

/** What a route asks for; `none` is open to everybody, also without a token. */
export type RouteRight = 'none' | Right

export function allows(has: Right, needs: Right): boolean {
  return RIGHTS.indexOf(has) >= RIGHTS.indexOf(needs)
}

export function isRight(text: string): text is Right {
  return RIGHTS.some((right) => right === text)
}
