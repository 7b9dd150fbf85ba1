#!/bin/sh
# Is the dataset's data safe? A line for each check: OK, WARNING or CRITICAL. Changes nothing.
#
#   check-snapshot-health.sh [--json] [--quiet] [--skip CHECK]... [limits] [settings of cairn]
#
#   store     the machine, the store and the index pointer, as `cairn doctor` sees them
#   chain     recent entries above --max-chain N (70% of the chain limit: 7,000), or from the
#             emergency threshold on
#   snapshot  entries are waiting, and the snapshot is older than --max-snapshot-age TIME (48h)
#   car       there is no CAR that could be restored, or the newest lacks entries and is older than
#             --max-car-age TIME (48h); --backups-dir DIR says where they are
#   disk      less than 20% free (warning) or 10% (critical) for the store or the CARs
#   drill     none, or none within --max-drill-age TIME (35d), or the last one failed
#   verify    the ledger of `cairn verify` lists damage
#
# --quiet prints what is wrong and nothing else, so that cron sends mail only then. Ends with 0 when all is
# well, with 18 when anything is not, with 2 on wrong usage.
set -eu
SELF=$(readlink -f "$0")
# shellcheck source=scripts/common.sh
. "$(dirname "$SELF")/common.sh"

use_older_names "$@"
exec "$NODE" - "$NODE" "$ROOT/bin/cairn" "$@" <<'PROGRAM'
const { execFileSync } = require('node:child_process')
const { existsSync, readFileSync, readdirSync, statSync, statfsSync } = require('node:fs')
const { dirname, join, resolve } = require('node:path')

const UNHEALTHY = 18
const CHECKS = ['store', 'chain', 'snapshot', 'car', 'disk', 'drill', 'verify']
const LIMITS = {
  '--max-chain': count,
  '--max-snapshot-age': span,
  '--max-car-age': span,
  '--max-drill-age': span,
}
const UNITS = { m: 60e3, h: 3600e3, d: 86400e3, w: 7 * 86400e3 }
const LOW_PERCENT = 20
const TIGHT_PERCENT = 10

const [node, cli, ...args] = process.argv.slice(2)
const { limits, skipped, quiet, json, settings, ...given } = parse(args)
const results = []

function usage(message) {
  console.error(`error: ${message}\n  hint: see the beginning of check-snapshot-health.sh.`)
  process.exit(2)
}

function count(text) {
  return /^\d{1,9}$/.test(text) ? Number(text) : usage(`"${text}" is no number.`)
}

function span(text) {
  const [, number, unit] = /^(\d{1,6})([mhdw])$/.exec(text) ?? []
  return unit ? number * UNITS[unit] : usage(`"${text}" is no time such as 30m, 48h, 8d.`)
}

function parse(args) {
  const found = { limits: {}, skipped: new Set(), quiet: false, json: false, settings: [] }
  const rest = args.flatMap((one) => /^(--[a-z-]+)=(.*)$/s.exec(one)?.slice(1) ?? [one])
  while (rest.length > 0) {
    const one = rest.shift()
    if (one === '--json') found.json = true
    else if (one === '--quiet' || one === '-q') found.quiet = true
    else if (one === '--skip') {
      const name = rest.shift()
      found.skipped.add(
        CHECKS.includes(name) ? name : usage(`--skip takes one of ${CHECKS.join(', ')}.`),
      )
    } else if (one === '--backups-dir') found.backups = rest.shift()
    else if (one in LIMITS) found.limits[one] = LIMITS[one](rest.shift() ?? '')
    else found.settings.push(one)
  }
  return found
}

function report(check, level, message, details = {}) {
  if (!skipped.has(check)) results.push({ check, level, message, ...details })
}

/** The JSON of a command of Cairn. What it says when it fails may be a result, too. */
function cairn(command) {
  try {
    const stdout = execFileSync(node, [cli, command, '--json', ...settings], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      maxBuffer: 1 << 28,
    })
    return { it: JSON.parse(stdout) }
  } catch (error) {
    const last = String(error.stderr ?? '')
      .trimEnd()
      .split('\n')
      .at(-1)
    const exit = JSON.parse(last.startsWith('{"exit_error"') ? last : '{}').exit_error
    if (exit === undefined) throw error
    if (error.status === 2) usage(exit.message)
    return { it: error.stdout === '' ? undefined : JSON.parse(error.stdout), error: exit }
  }
}

const number = (value) => value.toLocaleString('en-US')
const ageText = (ms) =>
  ms < 2 * UNITS.d ? `${(ms / UNITS.h).toFixed(1)} hours` : `${(ms / UNITS.d).toFixed(1)} days`
const since = (time) => Date.now() - Date.parse(time)

/** Whether there is anything to ask the dataset. */
function checkStore() {
  const { it, error } = cairn('doctor')
  const checks = it?.checks ?? []
  const failures = checks.filter(({ status }) => status === 'failed')
  for (const { name, message, hint } of failures)
    report('store', 'critical', `${name}: ${message}`, { hint })
  if (error === undefined) report('store', 'ok', 'the store and the index pointer can be read')
  else if (failures.length === 0) report('store', 'critical', error.message, { hint: error.hint })
  return checks.some(({ name, status }) => name === 'dataset' && status === 'ok')
}

function checkChain({ recent_count: recent, settings: { chain_limit: limit } }, config) {
  const { value, origin } = config.settings.emergency_threshold
  const emergency = origin === 'default' ? Math.floor(limit * 0.8) : value
  const most = limits['--max-chain'] ?? Math.floor(limit * 0.7)
  const bad = recent > most || recent >= emergency
  const threshold = Math.min(most, emergency)
  const text = bad
    ? `Recent chain has ${recent} entries (threshold: ${threshold})`
    : `${number(recent)} recent entries of at most ${number(limit)}`
  report('chain', bad ? 'critical' : 'ok', text, {
    value: recent,
    threshold,
    hint: 'cairn build-snapshot',
  })
}

function checkSnapshot({ recent_count: recent, snapshot_ts: time, snapshot_seq: seq }) {
  const most = limits['--max-snapshot-age'] ?? 48 * UNITS.h
  const old = since(time) > most && recent > 0
  const waiting = recent > 0 ? `, ${number(recent)} entries are waiting` : ', nothing is waiting'
  const text = `Snapshot ${seq} is ${ageText(since(time))} old${waiting}`
  report('snapshot', old ? 'critical' : 'ok', text, {
    value: since(time),
    threshold: most,
    hint: 'cairn build-snapshot',
  })
}

/** The CARs that are whole: with a sidecar, and as long as that says. */
function backupsIn(folder, dataset) {
  if (!existsSync(folder)) return []
  return readdirSync(folder).flatMap((name) => {
    if (!name.endsWith('.json') || name.startsWith('.')) return []
    try {
      const sidecar = JSON.parse(readFileSync(join(folder, name), 'utf8'))
      if (sidecar.schema !== 'cairn/car-sidecar@v1' || sidecar.dataset !== dataset) return []
      return statSync(join(folder, sidecar.filename)).size === sidecar.size_bytes ? [sidecar] : []
    } catch {
      return []
    }
  })
}

/** With all content, and not a delta whose base is gone. */
function isRestorable(one, backups) {
  if (one.content === 'index') return false
  if (one.since === null) return true
  // A delta may bear the name of the snapshot that it needs.
  const others = backups.filter((other) => other !== one)
  return others.some((base) => base.snapshot_cid === one.since && isRestorable(base, others))
}

function checkCars(status, folder) {
  const { dataset, identity, generation, next } = status
  const found = backupsIn(folder, dataset)
  const backups = found.filter((one) => isRestorable(one, found))
  if (backups.length === 0)
    return report('car', 'critical', `No CAR of "${dataset}" in ${folder}`, {
      hint: 'cairn export-car',
    })
  const has = (one) =>
    one.identity === identity && one.generation === generation.number && one.next === next
  const complete = backups.find(has)
  if (complete !== undefined) return report('car', 'ok', `${complete.filename} has all entries`)
  const timeOf = ({ timestamp: t }) =>
    Date.parse(t.replace(/^(....)(..)(..)-(..)(..)(..)$/, '$1-$2-$3T$4:$5:$6Z'))
  const newest = backups.reduce((a, b) => (timeOf(b) > timeOf(a) ? b : a))
  const age = Date.now() - timeOf(newest)
  const most = limits['--max-car-age'] ?? 48 * UNITS.h
  const text = `The newest CAR, ${newest.filename}, is ${ageText(age)} old and lacks the newest entries`
  report('car', age > most ? 'critical' : 'ok', text, {
    value: age,
    threshold: most,
    hint: 'cairn export-car',
  })
}

function spaceAt(folder) {
  let path = resolve(folder)
  while (!existsSync(path)) path = dirname(path)
  const { blocks, bavail } = statfsSync(path)
  return (bavail / blocks) * 100
}

function checkDisk({ details, size_bytes: size, free_bytes: free }, backups) {
  const share = details.path === undefined ? (free / (free + size)) * 100 : spaceAt(details.path)
  for (const [where, percent] of [
    ['the store', share],
    [`the CARs in ${backups}`, spaceAt(backups)],
  ]) {
    const level = percent < TIGHT_PERCENT ? 'critical' : percent < LOW_PERCENT ? 'warning' : 'ok'
    if (Number.isNaN(percent)) continue
    report('disk', level, `${percent.toFixed(0)}% of the disk is free for ${where}`, {
      value: percent,
      threshold: LOW_PERCENT,
      hint: 'cairn prune --gc',
    })
  }
}

function checkDrill({ dataset }, folder) {
  const path = join(folder, 'drill-report.json')
  const most = limits['--max-drill-age'] ?? 35 * UNITS.d
  const drill = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined
  const hint = 'cairn drill'
  if (drill?.dataset !== dataset)
    return report(
      'drill',
      'warning',
      `There is no report of a drill of "${dataset}" in ${folder}`,
      { hint },
    )
  const age = since(drill.finished_at)
  if (drill.status !== 'passed')
    return report('drill', 'critical', `The drill of ${drill.finished_at} failed`, {
      hint: `see ${path}`,
    })
  const text = `The newest drill passed ${ageText(age)} ago, restored in ${drill.rto_ms} ms`
  report('drill', age > most ? 'warning' : 'ok', text, { value: age, threshold: most, hint })
}

/** The parts of this dataset in the ledgers of `cairn verify`. */
function provedParts({ dataset, identity }, folder) {
  if (!existsSync(folder)) return []
  const files = readdirSync(folder).filter((name) => name.endsWith('.ndjson'))
  return files.flatMap((name) => {
    const text = readFileSync(join(folder, name), 'utf8').trimEnd()
    const [head, ...parts] = text.split('\n').map((line) => JSON.parse(line))
    return head.dataset === dataset && head.identity === identity ? parts : []
  })
}

function checkVerify(status, dataDir) {
  const parts = provedParts(status, join(dataDir, 'ledger'))
  const problems = parts.reduce(
    (sum, { problems: listed, unlisted }) => sum + listed.length + unlisted,
    0,
  )
  if (parts.length === 0) return report('verify', 'ok', 'never verified yet')
  const never = parts.filter(({ proved }) => proved === null).length
  const text =
    problems > 0
      ? `The ledger lists ${number(problems)} damaged or missing blocks`
      : `${number(parts.length - never)} of ${number(parts.length)} parts are proved, no damage is known`
  report('verify', problems > 0 ? 'critical' : 'ok', text, {
    value: problems,
    threshold: 0,
    hint: 'cairn repair --from CAR, then cairn verify',
  })
}

/** What cannot be checked is not healthy. */
function attempt(check, work) {
  try {
    return work()
  } catch (error) {
    report(check, 'critical', `cannot be checked: ${error.message.split('\n')[0]}`)
  }
}

const { it: config, error: refused } = cairn('config')
if (refused !== undefined) usage(refused.message)
const dataDir = config.settings.data_dir.value
const backups = given.backups ?? config.settings.backups_dir.value
const status = attempt('store', checkStore) ? attempt('store', () => cairn('status').it) : undefined
if (status !== undefined) {
  attempt('chain', () => checkChain(status, config))
  attempt('snapshot', () => checkSnapshot(status))
  attempt('car', () => checkCars(status, backups))
  attempt('disk', () => checkDisk(status, backups))
  attempt('drill', () => checkDrill(status, backups))
  attempt('verify', () => checkVerify(status, dataDir))
}

const alerts = results.filter(({ level }) => level !== 'ok')
const healthy = alerts.length === 0
if (json)
  console.log(
    JSON.stringify({
      healthy,
      dataset: config.settings.dataset.value,
      checked_at: new Date().toISOString(),
      recent_count: status?.recent_count ?? null,
      snapshot_ts: status?.snapshot_ts ?? null,
      alerts,
      checks: results,
    }),
  )
else {
  for (const { check, level, message, hint } of quiet ? alerts : results) {
    const name = level === 'ok' ? 'OK' : level.toUpperCase()
    console.log(`${name}: ${check === 'chain' && level !== 'ok' ? '' : `${check}: `}${message}`)
    if (level !== 'ok' && hint !== undefined) console.log(`  hint: ${hint}`)
  }
}
process.exitCode = healthy ? 0 : UNHEALTHY
PROGRAM
