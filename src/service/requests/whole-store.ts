/** Blocks are shared by all datasets of a store: which of them one is of is not known. */
import type { FastifyRequest } from 'fastify'
import { CairnError } from '../../errors.ts'
import { isBound } from '../access/access.ts'
import type { Service } from '../service.ts'

/** Refuses a token of some datasets, unless the store has no others. */
export async function requireWholeStore(service: Service, request: FastifyRequest): Promise<void> {
  if (!(await isBound(service, request, () => service.cairn.datasets()))) return
  throw new CairnError('access_denied', 'Blocks by their CIDs are for tokens of all datasets.', {
    hint: 'Give a token that was made without --only, or keep the dataset in a store of its own.',
  })
}
