/** Listeners hear of every key that expires, whatever happens to the map at the same moment. */
import { expect, test } from 'vitest'
import { MapState, type Pending } from '../../src/live/map-state.ts'

const ENDS = 10
const soon = { value: 1, exp: ENDS }

test.for<[string, (state: MapState, pending: Pending) => void]>([
  ['its write is answered', (state, pending) => state.written(pending, 1)],
  ['its write fails', (state, pending) => state.undo(pending)],
  [
    'its write is answered after another was heard of',
    (state, pending) => {
      state.remote('set', { value: 2, exp: null }, 2)
      state.written(pending, 1)
    },
  ],
  ['the map is read anew', (state) => state.reset(new Map(), 2)],
  [
    'another program sets it, and the map is read anew',
    (state) => {
      state.remote('there', { value: 2, exp: null }, 3)
      state.reset(new Map(), 2)
    },
  ],
])('a key expires, and before anybody looks %s: its end is told', ([, happens]) => {
  let now = 0
  const state = new MapState(() => now)
  const heard: string[] = []
  state.reset(new Map([['there', soon]]), 1)
  const pending = state.set('set', soon)
  state.listen(({ key, before, origin }) => {
    if (before?.exp === ENDS) heard.push(`${key} ${origin}`)
  })
  now = ENDS
  happens(state, pending)
  state.expire()
  expect(heard.toSorted()).toEqual(['set expired', 'there expired'])
})
