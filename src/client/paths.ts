/** Ids in addresses. */
import { CairnClientError } from './error.ts'

/** An id that an address cannot hold: it would be taken for a step of the path, also when it is escaped. */
const isStep = (pi: string): boolean => pi === '.' || pi === '..'

export function entityPath(place: string, pi: string): string {
  if (isStep(pi)) {
    throw new CairnClientError(`An entity "${pi}" cannot be asked for by its address.`, {
      code: 'usage',
      hint: 'Find it with list({ from }), and write it with a version of your own.',
    })
  }
  return `${place}/entities/${encodeURIComponent(pi)}`
}
