/** Answers without what was asked for: 304 has no body and nothing that tells of one, errors have no tag. */
import { expect, test } from 'vitest'
import { openGatewayWorld } from '../helpers/gateway-world.ts'
import { entity, MAIN } from '../helpers/hostile.ts'
import { request } from '../helpers/service.ts'

test('a 304 tells of no body, whatever was asked for', async () => {
  const { url, root } = await openGatewayWorld({ values: { gateway: 'public' } })
  const paths = [
    entity('item-0'),
    `${entity('item-0')}/content`,
    `${entity('item-1')}/content`,
    `${MAIN}/snapshots/latest`,
    `${MAIN}/snapshots/latest/chunks`,
    `${MAIN}/diff?from=seq:0&to=seq:1`,
    `${MAIN}/commits/newest`,
    `/ipfs/${root}?format=raw`,
    `/ipfs/${root}?format=car`,
  ]
  for (const path of paths) {
    const first = await request(`${url}${path}`, 'GET')
    const tag = first.headers.get('etag')
    expect([path, first.status, tag]).toEqual([path, 200, expect.any(String)])
    const again = await request(`${url}${path}`, 'GET', undefined, { 'if-none-match': tag ?? '' })
    const { headers } = again
    const told = ['content-length', 'content-type', 'transfer-encoding'].filter((one) =>
      headers.has(one),
    )
    expect([path, again.status, again.text, headers.get('etag'), told]).toEqual([
      path,
      304,
      '',
      tag,
      [],
    ])
  }
})

test('an error has no tag of what was asked for', async () => {
  const { url, root } = await openGatewayWorld({ values: { gateway: 'public' } })
  const beyond = { range: 'bytes=99999999-' }
  const answer = await request(`${url}/ipfs/${root}?format=raw`, 'GET', undefined, beyond)
  expect([answer.status, answer.headers.get('etag')]).toEqual([416, null])
})
