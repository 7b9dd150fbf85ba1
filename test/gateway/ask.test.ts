/** What a request asks for, and which paths there are. */
import { expect, test } from 'vitest'
import type { ErrorCode } from '../../src/errors.ts'
import { asked, carType, queryOf, type Asked, type GivenQuery } from '../../src/gateway/ask.ts'
import { contentPathOf } from '../../src/gateway/content-path.ts'
import { printCid } from '../../src/model/cid.ts'

const CAR = 'application/vnd.ipld.car'
const RAW = 'application/vnd.ipld.raw'
const ALL: Asked = { form: 'car', scope: 'all', bytes: undefined, dups: false }

const CASES: readonly [GivenQuery, string | undefined, Asked | ErrorCode][] = [
  [{ format: 'raw' }, undefined, { form: 'raw' }],
  [{ format: 'raw' }, CAR, { form: 'raw' }],
  [{}, RAW, { form: 'raw' }],
  [{ format: 'car' }, RAW, ALL],
  [{}, CAR, ALL],
  [{}, ' Application/VND.ipld.CAR ; version="1";order=unk', ALL],
  [{}, `${CAR};dups=y`, { ...ALL, dups: true }],
  [{ 'car-dups': 'n' }, `${CAR};dups=y`, ALL],
  [{ 'car-dups': 'y', 'car-order': 'dfs' }, `${CAR};order=odd`, { ...ALL, dups: true }],
  [{ format: 'car' }, `${CAR};dups=y`, { ...ALL, dups: true }],
  [{}, `${RAW};q=0.5, ${CAR};q=0.9`, ALL],
  [{}, `${RAW};q=0.5, ${CAR};order=odd;q=0.9`, { form: 'raw' }],
  [{}, `${CAR};order=odd, ${CAR};order=dfs;dups=y;q=0.5`, { ...ALL, dups: true }],
  [{}, `text/html, */*;q=0.8, ${RAW};q=0.1`, { form: 'raw' }],
  [{ format: 'car', 'dag-scope': 'block' }, undefined, { ...ALL, scope: 'block' }],
  [
    { format: 'car', 'entity-bytes': '-5:*' },
    undefined,
    { ...ALL, scope: 'entity', bytes: { from: -5, to: null } },
  ],
  [
    { format: 'car', 'dag-scope': 'entity', 'entity-bytes': '3:-7' },
    undefined,
    { ...ALL, scope: 'entity', bytes: { from: 3, to: -7 } },
  ],
  [{ format: ['car', 'car'] }, undefined, 'usage'],
  [{ format: 'car', 'dag-scope': 'some' }, undefined, 'usage'],
  [{ format: 'car', 'entity-bytes': '*:1' }, undefined, 'usage'],
  [{ format: 'car', 'entity-bytes': ' 1:1' }, undefined, 'usage'],
  [{ format: 'car', 'car-version': '2' }, undefined, 'usage'],
  [{}, undefined, 'usage'],
  [{}, '*/*', 'usage'],
  [{}, 'text/html,application/*;q=0.8', 'usage'],
  [{}, `${RAW};q=0`, 'usage'],
  [{}, 'text/html', 'not_acceptable'],
  [{}, 'application/vnd.ipld.dag-json', 'not_acceptable'],
  [{ format: 'tar' }, RAW, 'not_acceptable'],
  [{ format: 'ipns-record' }, undefined, 'not_acceptable'],
  [{}, `${CAR};version=2`, 'not_acceptable'],
  [{ format: 'car' }, `${CAR};version=2`, 'not_acceptable'],
  [{}, `${CAR};dups=maybe`, 'not_acceptable'],
]

test.each(CASES)('%j with Accept %s is %j', (query, accept, expected) => {
  if (typeof expected === 'string') {
    expect(() => asked(query, accept)).toThrow(expect.objectContaining({ code: expected }))
    return
  }
  const what = asked(query, accept)
  expect(what).toEqual(expected)
  // What the answer calls itself asks for the same again.
  const again = Object.fromEntries(new URLSearchParams(queryOf(what)))
  expect(asked(again, undefined)).toEqual(what)
})

test('the type of a CAR says all of its form', () => {
  expect(carType({ form: 'car', scope: 'all', bytes: undefined, dups: true })).toBe(
    'application/vnd.ipld.car; version=1; order=dfs; dups=y',
  )
})

const CID = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'

test('paths are the parts of an address, decoded', () => {
  const { root, segments, text } = contentPathOf(
    `/ipfs/${CID}//a%2Fb/%C3%A9/..%2e/x%25/%5E?format=car`,
  )
  expect([printCid(root), segments, text]).toEqual([
    CID,
    ['a/b', 'é', '...', 'x%', '^'],
    `/ipfs/${CID}//a%2Fb/%C3%A9/..%2e/x%25/%5E`,
  ])
  expect(contentPathOf(`/ipfs/${CID}/`).segments).toEqual([])
})

const SHA512 = 'bafkrgqg'.padEnd(110, 'a')

test.each<[string, ErrorCode]>([
  [`${CID}/..`, 'usage'],
  [`${CID}/a/%2e%2E/b`, 'usage'],
  [`${CID}/.`, 'usage'],
  [`${CID}/%`, 'usage'],
  [`${CID}/%ff`, 'usage'],
  [`${CID}${'/a'.repeat(101)}`, 'usage'],
  ['', 'usage'],
  ['x', 'usage'],
  [CID.slice(0, -1), 'usage'],
  [`${CID}${'a'.repeat(5000)}`, 'usage'],
  [SHA512, 'usage'],
  ['%2e%2e%2fetc', 'usage'],
  // sha2-512, cut to 32 bytes; blake2b; an identity that is too long.
  ['bafkrgigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy', 'not_found'],
  ['bafk2bzacea73ycjnxe2qov7cvnhx52lzfp6nf5jcblnfus6gqreh6ygganbws', 'not_found'],
])('%s is none', (path, code) => {
  expect(() => contentPathOf(`/ipfs/${path}`)).toThrow(expect.objectContaining({ code }))
})
