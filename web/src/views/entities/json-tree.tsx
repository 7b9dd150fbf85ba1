/** A value of JSON as a tree that opens step by step: what is not looked at is not made. */
import type { VNode } from 'preact'
import { useState } from 'preact/hooks'
import { Button } from '../../ui/button.tsx'
import { bytesText, countText, pluralText } from '../../ui/format.ts'
import { Cid } from '../../ui/value.tsx'
import { Visible } from './text.tsx'

export interface JsonTreeProps {
  readonly value: unknown
  /** Where a link leads to. */
  readonly hrefOf: (cid: string) => string
}

/** Open from the beginning: so deep, and with no more parts than this. */
const OPEN_DEPTH = 3
const OPEN_PARTS = 40
const PARTS_STEP = 200
const TEXT_FIRST = 400
const TEXT_STEP = 50_000

export function JsonTree({ value, hrefOf }: JsonTreeProps): VNode {
  return (
    <div class="tree">
      <Node value={value} hrefOf={hrefOf} depth={0} />
    </div>
  )
}

interface NodeProps extends JsonTreeProps {
  readonly depth: number
  /** What it is called in what holds it. */
  readonly name?: string
}

function Node({ value, hrefOf, depth, name }: NodeProps): VNode {
  const parts = partsOf(value)
  if (parts === undefined || parts.names.length === 0) {
    return (
      <div class="tree-leaf">
        <Name name={name} />
        <Leaf value={value} hrefOf={hrefOf} />
      </div>
    )
  }
  return <Branch value={value} parts={parts} hrefOf={hrefOf} depth={depth} name={name} />
}

interface Parts {
  readonly names: readonly string[]
  readonly isList: boolean
}

/** Undefined of what has none; a link has none, and neither have bytes. */
function partsOf(value: unknown): Parts | undefined {
  if (typeof value !== 'object' || value === null || specialOf(value) !== undefined)
    return undefined
  return { names: Object.keys(value), isList: Array.isArray(value) }
}

interface BranchProps extends Omit<NodeProps, 'name'> {
  readonly parts: Parts
  readonly name: string | undefined
}

function Branch({ value, parts, hrefOf, depth, name }: BranchProps): VNode {
  const { names, isList } = parts
  const [open, setOpen] = useState(depth < OPEN_DEPTH && names.length <= OPEN_PARTS)
  const [most, setMost] = useState(PARTS_STEP)
  const map = value as Readonly<Record<string, unknown>>
  return (
    <details
      class="tree-branch"
      open={open}
      onToggle={({ currentTarget }) => setOpen(currentTarget.open)}
    >
      <summary>
        <Name name={name} />
        <span class="muted">
          {isList
            ? `[ ${pluralText(names.length, 'item')} ]`
            : `{ ${pluralText(names.length, 'field')} }`}
        </span>
      </summary>
      {open && (
        <ul>
          {names.slice(0, most).map((one) => (
            <li key={one}>
              <Node value={map[one]} hrefOf={hrefOf} depth={depth + 1} name={one} />
            </li>
          ))}
          {names.length > most && (
            <li>
              <Button small onClick={() => setMost(most + PARTS_STEP)}>
                {countText(names.length - most)} more
              </Button>
            </li>
          )}
        </ul>
      )}
    </details>
  )
}

function Name({ name }: { name: string | undefined }): VNode | null {
  if (name === undefined) return null
  return (
    <span class="tree-name">
      <Visible text={name.length > TEXT_FIRST ? `${name.slice(0, TEXT_FIRST)}…` : name} />
      {': '}
    </span>
  )
}

function Leaf({ value, hrefOf }: JsonTreeProps): VNode {
  if (typeof value === 'string') return <LongText text={value} quoted />
  const special = typeof value === 'object' && value !== null ? specialOf(value) : undefined
  if (special?.kind === 'link') return <Cid value={special.cid} href={hrefOf(special.cid)} />
  if (special?.kind === 'bytes') {
    return (
      <span>
        <span class="muted">{bytesText(Math.floor(special.base64.length * 0.75))} of bytes </span>
        <code>{special.base64.slice(0, 24)}</code>
        {special.base64.length > 24 && '…'}
      </span>
    )
  }
  if (typeof value === 'object' && value !== null)
    return <span class="muted">{Array.isArray(value) ? '[ ]' : '{ }'}</span>
  return <span class="tree-other">{String(value)}</span>
}

type Special = { kind: 'link'; cid: string } | { kind: 'bytes'; base64: string }

/** Of DAG-JSON. */
function specialOf(value: object): Special | undefined {
  const inner = (value as Readonly<Record<string, unknown>>)['/']
  if (inner === undefined || Object.keys(value).length !== 1) return undefined
  if (typeof inner === 'string') return { kind: 'link', cid: inner }
  const base64 = typeof inner === 'object' && inner !== null && 'bytes' in inner && inner.bytes
  return typeof base64 === 'string' ? { kind: 'bytes', base64 } : undefined
}

/** The beginning, and more of it when asked for. */
function LongText({ text, quoted = false }: { text: string; quoted?: boolean }): VNode {
  const [most, setMost] = useState(TEXT_FIRST)
  const mark = quoted ? '"' : ''
  return (
    <span class="tree-text">
      {mark}
      <Visible text={text.slice(0, most)} lines />
      {text.length > most ? '…' : mark}
      {text.length > most && (
        <>
          {' '}
          <Button small onClick={() => setMost(most === TEXT_FIRST ? TEXT_STEP : most + TEXT_STEP)}>
            {countText(text.length - most)} characters more
          </Button>
        </>
      )}
    </span>
  )
}
