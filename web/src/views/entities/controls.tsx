/** What is looked for among entities. */
import type { VNode } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { Button } from '../../ui/button.tsx'
import { Field, Select } from '../../ui/field.tsx'
import { firstPage, type PageState } from './paging.ts'
import { MomentSelect } from './moment.tsx'
import type { Place } from './place.ts'

export interface ControlsProps {
  readonly place: Place
  readonly state: PageState
  /** `replace`: it goes on with what was asked before, and is no step to go back to. */
  readonly onChange: (state: PageState, options?: { readonly replace?: boolean }) => void
}

export function Controls({ place, state, onChange }: ControlsProps): VNode {
  const first = firstPage(state)
  return (
    <div class="controls">
      <Search
        prefix={state.prefix}
        onChange={(prefix) => onChange({ ...first, prefix }, { replace: state.prefix !== '' })}
      />
      <div class="controls-at">
        <MomentSelect place={place} at={state.at} onChange={(at) => onChange({ ...first, at })} />
      </div>
      <Select
        label="Order"
        value={state.order}
        options={ORDERS}
        onChange={(order) => onChange({ ...first, order })}
      />
      <Jump onJump={(offset) => onChange({ ...first, offset })} />
    </div>
  )
}

const ORDERS = [
  ['asc', 'Lowest first'],
  ['desc', 'Highest first'],
] as const

const WAIT_MS = 250

/** Searches while one types, a moment after. */
function Search(props: { prefix: string; onChange: (prefix: string) => void }): VNode {
  const { prefix, onChange } = props
  const [text, setText] = useState(prefix)
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined)
  useEffect(() => {
    // The address has changed: not by this field, or by what was typed so far.
    if (timer.current === undefined) setText(prefix)
  }, [prefix])
  useEffect(() => () => clearTimeout(timer.current), [])
  const search = (value: string, ms: number): void => {
    clearTimeout(timer.current)
    timer.current = setTimeout(() => {
      timer.current = undefined
      if (value !== prefix) onChange(value)
    }, ms)
  }
  return (
    <form
      class="controls-search"
      role="search"
      onSubmit={(event) => {
        event.preventDefault()
        search(text, 0)
      }}
    >
      <Field
        label="Id begins with"
        type="search"
        value={text}
        autoComplete="off"
        onInput={(value) => {
          setText(value)
          search(value, WAIT_MS)
        }}
      />
    </form>
  )
}

function Jump({ onJump }: { onJump: (offset: number) => void }): VNode {
  const [text, setText] = useState('')
  const number = Number(text)
  const good = Number.isSafeInteger(number) && number > 0
  return (
    <form
      class="controls-jump"
      onSubmit={(event) => {
        event.preventDefault()
        if (good) onJump(number - 1)
      }}
    >
      <Field
        label="Jump to"
        type="number"
        placeholder="1"
        value={text}
        onInput={setText}
        error={text !== '' && !good ? 'Use 1 or more.' : undefined}
      />
      <Button type="submit">Go</Button>
    </form>
  )
}
