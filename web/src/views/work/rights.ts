/**
 * Whether the token may do what needs `admin`. No call tells which right a token has; the first refusal
 * does, and from then on it is said before anything is tried.
 */
import { computed, effect, signal, type ReadonlySignal } from '@preact/signals'
import { isClientError } from '../../../../src/client/error.ts'
import { client, hasToken } from '../../app/session.ts'

export type Right = 'append' | 'admin'

interface Refused {
  readonly rights: readonly Right[]
  readonly why: string
}

const NOTHING: Refused = { rights: [], why: '' }
const refused = signal(NOTHING)

/** It is known of one token; and nothing here may hold the client that has the one before. */
effect(() => {
  void client.value
  refused.value = NOTHING
})

/** What the token was refused for want of a right; each right contains the one before. */
const lacking: ReadonlySignal<readonly Right[]> = computed(() =>
  hasToken.value ? refused.value.rights : [],
)

export const lacks = (right: Right): boolean => lacking.value.includes(right)

/** Why, as the service has said it. */
export const lackText = (): string => refused.value.why

/** Remembers what an error says about the token. */
export function noteRefusal(error: unknown, needs: Right): void {
  if (!isClientError(error, 'access_denied')) return
  const rights: readonly Right[] = needs === 'append' ? ['append', 'admin'] : ['admin']
  const why = [error.message, error.hint].filter((part) => part !== undefined).join(' ')
  refused.value = { rights: [...new Set([...rights, ...lacking.peek()])], why }
}
