/**
 * What clients of the gateway may ask for, for the document. Requests are not held to it: what a gateway answers to
 * what it does not know is the protocol's to say.
 */
import { DAG_SCOPES, ENTITY_BYTES_PATTERN, type DagScope } from '../../gateway/ask.ts'
import { CID_PATTERN } from './cid-pattern.ts'
import { matching, oneOf, optional, strict, text, type ObjectSchema } from './common.ts'

export const GatewayParams: ObjectSchema<{ cid: string }> = strict({
  cid: matching(`^(?:${CID_PATTERN}|bafkqaaa)$`, 'a CID of sha2-256; a path below it may follow'),
})

interface Query {
  readonly format: 'raw' | 'car'
  readonly 'dag-scope'?: DagScope | undefined
  readonly 'entity-bytes'?: string | undefined
  readonly 'car-version'?: '1' | undefined
  readonly 'car-order'?: 'dfs' | 'unk' | undefined
  readonly 'car-dups'?: 'y' | 'n' | undefined
  readonly filename?: string | undefined
}

export const GatewayQuery: ObjectSchema<Query> = strict({
  format: oneOf<'raw' | 'car'>(['raw', 'car'], {
    description: 'a block, or a CAR; not needed where the header Accept says it',
  }),
  'dag-scope': optional(
    oneOf<DagScope>(DAG_SCOPES, {
      description:
        'of a CAR: the block alone, the file or listing that it is, or all below; all unless given',
    }),
  ),
  'entity-bytes': optional(
    matching(ENTITY_BYTES_PATTERN, 'of a CAR: FROM:TO, the bytes of a file that are wanted'),
  ),
  'car-version': optional(oneOf<'1'>(['1'], { description: 'of a CAR' })),
  'car-order': optional(
    oneOf<'dfs' | 'unk'>(['dfs', 'unk'], {
      description: 'of the blocks; it is dfs whatever is asked',
    }),
  ),
  'car-dups': optional(
    oneOf<'y' | 'n'>(['y', 'n'], { description: 'whether a block is sent each time it is met' }),
  ),
  filename: optional(text(1, 255, 'the name to save it by')),
})
