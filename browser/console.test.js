// What a person does with the page, in the order of a first visit: send a sample and see it arrive, look its order up, understand why,
// and work through dead letters.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { browse, close, local, open, reloaded, start } from './harness.js'

describe('the page of licensectl local', () => {
  let running, browser
  before(async () => { [running, browser] = await Promise.all([local(), browse()]) })
  after(async () => { await Promise.all([running?.stop(), browser?.close()]) })

  test('a sample that is sent arrives in an open window, with its order and its explanation', async () => {
    const event = JSON.parse(readFileSync(new URL('../events/stripe/full-refund.json', import.meta.url))).id
    const page = await open(browser, running.page)
    const watching = await open(browser, `${running.origin}/events?text=${event}#${running.token}`)
    const old = await watching.locator('#live tbody time').first().getAttribute('datetime') // of the start's samples

    await page.getByRole('link', { name: 'Samples', exact: true }).click()
    await page.locator('summary', { hasText: 'stripe' }).click()
    await page.getByRole('button', { name: 'Send stripe/full-refund', exact: true }).click()
    await page.getByRole('link', { name: 'What became of it' }).click()
    await page.getByRole('heading', { name: 'Event', exact: true }).waitFor()
    const id = new URL(page.url()).searchParams.get('id')
    assert.ok(id.startsWith(`stripe.${event}`), id)
    await watching.locator(`#live tbody time:not([datetime="${old}"])`).first().waitFor() // nobody touched that window

    await page.getByText('deactivated', { exact: true }).first().waitFor()
    const decided = page.locator('section', { has: page.getByRole('heading', { name: 'How it was decided' }) })
    await decided.getByRole('heading', { name: 'RESULT' }).waitFor()
    assert.match(await decided.innerText(), /accepted: 1 deactivation by the rule/)
    assert.match(await decided.innerText(), /SIGNATURE\s+valid/)

    const order = (await page.locator('dt', { hasText: 'Order' }).first().locator('xpath=following-sibling::dd').innerText()).split(' ')[0]
    await page.getByRole('link', { name: 'Orders', exact: true }).click()
    await page.getByLabel('Id', { exact: true }).fill(order)
    await page.getByRole('button', { name: 'Look up' }).click()
    await page.getByRole('heading', { name: id }).first().waitFor()
    assert.match(await page.locator('.steps').first().innerText(), /delivered[\s\S]*decided[\s\S]*queued[\s\S]*tried[\s\S]*done/)
    await close(page)
    await close(watching)
  })

  test('an order is found by the keyboard alone', async () => {
    const page = await open(browser, `${running.origin}/orders#${running.token}`)
    await page.getByRole('heading', { name: 'Orders' }).waitFor()
    await page.keyboard.press('Tab')
    await page.getByRole('link', { name: 'Skip to the content' }).and(page.locator(':focus')).waitFor()
    await page.keyboard.press('/')
    await page.keyboard.type('nobody-has-this-order')
    await page.keyboard.press('Enter')
    await page.getByText('Nothing is known about order nobody-has-this-order.').waitFor()
    await close(page)
  })

  test('a link opens a tab of its own, which has the token from this one', async () => {
    const page = await open(browser, running.page)
    await page.getByRole('heading', { name: 'Overview' }).waitFor()
    const [second] = await Promise.all([
      page.context().waitForEvent('page'),
      page.getByRole('link', { name: 'Events', exact: true }).click({ modifiers: ['Control'] }),
    ])
    await second.getByRole('heading', { name: 'Events' }).waitFor()
    assert.equal(second.url(), `${running.origin}/events`)
    assert.equal(await page.getByRole('heading', { level: 1 }).innerText(), 'Overview')
    await close(page)
  })

  // group opens the letters of a reason and a code, and returns how many there are.
  async function group(page, reason, code) {
    await page.getByRole('link', { name: 'Dead letters', exact: true }).click()
    await page.getByRole('link', { name: `${reason} ${code}`.trim(), exact: true }).first().click()
    const heading = page.locator('#chosen h2')
    await heading.waitFor()
    return parseInt(await heading.innerText())
  }

  async function plan(page, label) {
    await page.getByRole('button', { name: label, exact: true }).click()
    await page.getByRole('heading', { name: 'Plan', exact: true }).waitFor()
  }

  async function confirm(page, count, comment = 'ticket 4711') {
    await page.getByLabel('Type the number of letters').fill(String(count))
    await page.getByLabel('Why', { exact: true }).fill(comment)
    await page.locator('form.confirm button').click()
  }

  test('a wrong count is refused, and the right one redrives', async () => {
    const page = await open(browser, running.page)
    const n = await group(page, 'rejected', 'license_not_found')
    assert.ok(n > 0)
    await plan(page, 'Plan a redrive')
    await confirm(page, n + 1)
    await page.getByRole('heading', { name: 'The count does not match' }).waitFor()
    assert.equal(await group(page, 'rejected', 'license_not_found'), n)

    const id = await page.locator('#chosen tbody a').first().innerText()
    await plan(page, 'Plan a redrive')
    await confirm(page, n, 'spring sale, checked')
    await page.getByRole('heading', { name: `${n} of ${n} letter${n === 1 ? '' : 's'} redriven` }).waitFor()

    // The log says who did it and why, and that the license is still unknown.
    await page.goto(`${running.origin}/event?id=${id}`)
    await reloaded(page, page.locator('.steps', { hasText: 'spring sale, checked' }))
    assert.match(await page.locator('.steps').first().innerText(), /redriven[\s\S]*spring sale, checked/)
    await close(page, /status of 409/)
  })

  test('a plan that is out of date is refused', async () => {
    const [first, second] = [await open(browser, running.page), await open(browser, running.page)]
    const n = await group(first, 'reversed', '')
    await plan(first, 'Plan a purge')
    await group(second, 'reversed', '')
    await plan(second, 'Plan a purge')
    await confirm(second, n)
    await second.getByRole('heading', { name: `${n} of ${n} letter${n === 1 ? '' : 's'} purged` }).waitFor()
    await confirm(first, n)
    await first.getByRole('heading', { name: 'The plan is out of date' }).waitFor()
    await close(first, /status of 409/)
    await close(second)
  })

  test('an event that lacks a field is completed', async () => {
    const page = await open(browser, running.page)
    await page.getByRole('link', { name: 'Dead letters', exact: true }).click()
    await page.getByRole('link', { name: 'unmappable', exact: true }).first().click()
    await page.locator('#chosen tbody tr', { hasText: 'missing' }).first().getByRole('link').click()
    await page.getByRole('heading', { name: 'Complete it' }).waitFor()
    for (const [field, value] of Object.entries({ product: 'XY', license_key: 'AAAA-BBBB-CCCC-DDDD', hardware_id: 'browser-test' })) {
      for (const input of await page.getByLabel(field, { exact: true }).all()) await input.fill(value)
    }
    await page.getByRole('button', { name: 'Plan to send it' }).click()
    await page.getByRole('heading', { name: 'Plan', exact: true }).waitFor()
    const text = await page.locator('#view').innerText()
    assert.match(text, /deactivate license …DDDD of XY on device …test/)
    assert.doesNotMatch(text, /AAAA-BBBB/)
    await close(page)
  })

  test('the page over a queue of its own is read-only', async () => {
    const queues = name => `${running.door}/queues/${name}`
    const console = await start('console', '--queue-url', queues('jobs'), '--dead-letter-queue-url', queues('dead-letters'), '--endpoint-url', running.door)
    try {
      const page = await open(browser, console.page)
      await group(page, 'unmappable', '')
      await page.getByText('read-only', { exact: true }).waitFor()
      await plan(page, 'Plan a purge')
      await page.getByText('This page is read-only.').waitFor()
      assert.equal(await page.locator('form.confirm').count(), 0)
      await page.getByRole('link', { name: 'Events', exact: true }).click()
      await page.getByText('name the stack with --stack').first().waitFor()
      await close(page, /status of 502/)
    } finally {
      await console.stop()
    }
  })
})
