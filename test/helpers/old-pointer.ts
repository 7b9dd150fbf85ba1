/** The index pointer as programs of the old system read it. */

type Kind = 'text' | 'text?' | 'count'

/** The models of the old API: each field with what it takes. What it does not know passes through. */
const MODELS: Readonly<Record<'arke-v1' | 'arke-v2', Readonly<Record<string, Kind>>>> = {
  'arke-v1': {
    schema: 'text',
    latest_snapshot_cid: 'text?',
    snapshot_seq: 'count',
    snapshot_count: 'count',
    snapshot_ts: 'text?',
    recent_chain_head: 'text?',
    recent_count: 'count',
    total_count: 'count',
    last_updated: 'text',
  },
  'arke-v2': {
    schema: 'text',
    event_head: 'text?',
    event_count: 'count',
    latest_snapshot_cid: 'text?',
    snapshot_event_cid: 'text?',
    snapshot_seq: 'count',
    snapshot_count: 'count',
    snapshot_ts: 'text?',
    total_count: 'count',
    last_snapshot_trigger: 'text?',
    last_updated: 'text',
  },
}

/** As the old API answers `GET /index-pointer`: validated, its own fields first. */
export function oldReader(shape: 'arke-v1' | 'arke-v2', text: string): Record<string, unknown> {
  const pointer = JSON.parse(text) as Record<string, unknown>
  const model = MODELS[shape]
  for (const [field, kind] of Object.entries(model)) {
    const value = pointer[field]
    const fits =
      kind === 'count'
        ? Number.isSafeInteger(value)
        : typeof value === 'string' || (kind === 'text?' && value === null)
    if (!fits) throw new Error(`422: ${field} is ${String(value)}`)
  }
  return Object.fromEntries(Object.keys(model).map((field) => [field, pointer[field]]))
}
