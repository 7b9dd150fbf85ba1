/** Alerts: told once for each change and once when it is over; what wavers is no change. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { nextAlerts, type AlertState, type Change, type Notice } from '../../src/health/alerts.ts'
import { subjectOf, textOf, webhookBody } from '../../src/health/notice.ts'
import { CHECKS, isWorse, type Check, type Finding, type Level } from '../../src/health/report.ts'
import { reportWith } from './seen.ts'

const finding = (level: Level, check: Check = 'disk'): Finding => ({
  check,
  level,
  message: `${check} is ${level}`,
  hint: 'do it',
})
const UNREADABLE: Finding = {
  check: 'store',
  level: 'critical',
  message: 'down',
  code: 'backend_unavailable',
}

/** The notices of reports that come one after another. */
function tell(...reports: readonly (readonly Finding[])[]): (Notice | undefined)[] {
  let state: AlertState = {}
  return reports.map((checks) => {
    const next = nextAlerts(state, reportWith(checks))
    // It lives in a file.
    state = JSON.parse(JSON.stringify(next.state)) as AlertState
    return next.notice
  })
}

const brief = (notices: readonly (Notice | undefined)[]): (string | undefined)[] =>
  notices.map((one) =>
    one?.changes.map(({ check, from, to }: Change) => `${check} ${from}-${to}`).join(' '),
  )

const OK = [finding('ok')]
const WARNING = [finding('warning')]
const CRITICAL = [finding('critical')]

test('what is well is not told; what goes wrong is told once', () => {
  expect(brief(tell(OK, OK, CRITICAL, CRITICAL, CRITICAL))).toEqual([
    undefined,
    undefined,
    'disk ok-critical',
    undefined,
    undefined,
  ])
})

test('what is bad at the first look is told', () => {
  expect(brief(tell(WARNING))).toEqual(['disk ok-warning'])
})

test('worse is told at once, better when it was so twice', () => {
  expect(brief(tell(WARNING, CRITICAL, WARNING, WARNING, OK, OK, OK))).toEqual([
    'disk ok-warning',
    'disk warning-critical',
    undefined,
    'disk critical-warning',
    undefined,
    'disk warning-ok',
    undefined,
  ])
})

test('what wavers around a limit is told once', () => {
  const wavering = Array.from({ length: 50 }, (_, i) => (i % 2 === 0 ? WARNING : OK))
  expect(brief(tell(...wavering)).filter((one) => one !== undefined)).toEqual(['disk ok-warning'])
})

test('of several findings of a check the worst counts', () => {
  const mixed = [finding('ok'), finding('critical'), finding('warning')]
  const [notice] = tell(mixed)
  expect(notice?.changes).toMatchObject([{ to: 'critical', findings: mixed }])
})

test('while the store cannot be read, nothing else is said to be better or worse', () => {
  const all = [finding('critical', 'car'), finding('ok', 'store')]
  const well = [finding('ok', 'car'), finding('ok', 'store')]
  expect(brief(tell(all, [UNREADABLE], [UNREADABLE], [UNREADABLE], all, all, well, well))).toEqual([
    'car ok-critical',
    'store ok-critical',
    undefined,
    undefined,
    undefined,
    'store critical-ok',
    undefined,
    'car critical-ok',
  ])
})

test('a check that is none any more is over', () => {
  const store = finding('ok', 'store')
  expect(brief(tell([store, finding('warning', 'backups')], [store], [store], [store]))).toEqual([
    'backups ok-warning',
    undefined,
    'backups warning-ok',
    undefined,
  ])
})

test('whatever comes, what was told is what is so in the end, and no level is told twice in a row', () => {
  const level = fc.constantFrom<Level>('ok', 'warning', 'critical')
  const report = fc.dictionary(fc.constantFrom(...CHECKS.slice(1, 5)), level, { minKeys: 4 })
  fc.assert(
    fc.property(fc.array(report, { maxLength: 40 }), report, (reports, last) => {
      const told = new Map<string, Level>()
      const asFindings = (one: Readonly<Record<string, Level>>): Finding[] =>
        Object.entries(one).map(([check, at]) => finding(at, check as Check))
      for (const notice of tell(...[...reports, last, last, last].map(asFindings))) {
        for (const { check, from, to } of notice?.changes ?? []) {
          expect(from).toBe(told.get(check) ?? 'ok')
          expect(to).not.toBe(from)
          told.set(check, to)
        }
      }
      for (const [check, at] of Object.entries(last)) expect(told.get(check) ?? 'ok').toBe(at)
    }),
  )
})

test('nothing bad goes untold: after each report every check was told at least as bad as it is', () => {
  const levels = fc.array(fc.constantFrom<Level>('ok', 'warning', 'critical'), { maxLength: 40 })
  fc.assert(
    fc.property(levels, (all) => {
      let told: Level = 'ok'
      for (const [i, notice] of tell(...all.map((one) => [finding(one)])).entries()) {
        told = notice?.changes[0]?.to ?? told
        expect(isWorse(all[i] ?? 'ok', told)).toBe(false)
      }
    }),
  )
})

test('how a notice reads', () => {
  const [bad, , , over] = tell(
    [finding('critical', 'chain'), finding('warning')],
    [finding('ok', 'chain'), finding('warning')],
    [finding('ok', 'chain'), finding('warning')],
    OK,
  )
  expect(over).toBe(undefined)
  if (bad === undefined) return expect.fail('no notice')
  expect(subjectOf(bad)).toBe('CRITICAL: main: chain, disk')
  expect(textOf(bad)).toBe(
    'CRITICAL: chain is critical\n  hint: do it\nWARNING: disk: disk is warning\n  hint: do it',
  )
  expect(webhookBody(bad, 'generic', 'host-1')).toMatchObject({
    schema: 'cairn/alert@v1',
    host: 'host-1',
    dataset: 'main',
    level: 'critical',
    subject: 'CRITICAL: main: chain, disk',
    changes: [{ check: 'chain' }, { check: 'disk' }],
  })
  const risky = { ...bad, dataset: '<!channel> & co' }
  return expect(webhookBody(risky, 'slack', 'host-1')).toEqual({
    text: expect.stringMatching(/^\*CRITICAL: &lt;!channel&gt; &amp; co: chain, disk\*\nCRITICAL/),
  })
})

test('how the end of it reads', () => {
  const [, , over] = tell(WARNING, OK, OK)
  if (over === undefined) return expect.fail('no notice')
  expect(subjectOf(over)).toBe('RECOVERED: main')
  return expect(textOf(over)).toBe('RECOVERED: disk (was warning)\nOK: disk: disk is ok')
})
