// Each view at two widths, light and dark: a picture for a person to look at, nothing wider than the window, and nothing serious for
// axe-core.
import { after, before, describe, test } from 'node:test'
import { accessible, browse, close, fits, local, open, picture } from './harness.js'

describe('every view', () => {
  let running, browser
  before(async () => { [running, browser] = await Promise.all([local('--surge-limit', '3'), browse()]) })
  after(async () => { await Promise.all([running?.stop(), browser?.close()]) })

  const views = {
    overview: async page => { await page.getByRole('heading', { name: 'Latest events' }).waitFor() },
    events: async page => {
      await page.getByRole('link', { name: 'Events', exact: true }).click()
      await page.locator('#live tbody tr').first().waitFor()
    },
    'events-none': async page => {
      await page.goto(`${running.origin}/events?text=nothing-has-this`)
      await page.getByText(/^None of/).waitFor()
    },
    event: async page => {
      await page.goto(`${running.origin}/events?source=stripe`)
      await page.locator('#live tbody tr', { hasText: 'deactivated' }).first().getByRole('link').click()
      await page.getByRole('heading', { name: 'REQUESTS' }).waitFor()
    },
    orders: async page => {
      await page.getByRole('link', { name: 'Orders', exact: true }).click()
      await page.getByText('What became of an order?').waitFor()
    },
    order: async page => {
      await page.goto(`${running.origin}/events?source=shopify&outcome=deactivated`)
      const order = (await page.locator('#live tbody td[data-label=Order]').first().innerText()).split(' ')[0]
      await page.getByRole('link', { name: 'Orders', exact: true }).click()
      await page.getByLabel('Id', { exact: true }).fill(order)
      await page.getByRole('button', { name: 'Look up' }).click()
      await page.locator('.steps').first().waitFor()
    },
    letters: async page => {
      await page.getByRole('link', { name: 'Dead letters', exact: true }).click()
      await page.getByRole('heading', { name: /letters by reason/ }).waitFor()
    },
    'letters-chosen': async page => {
      await page.goto(`${running.origin}/letters?reason=held`)
      await page.getByRole('button', { name: 'Plan a redrive' }).waitFor()
    },
    letter: async page => {
      await page.goto(`${running.origin}/letters?reason=unmappable&nocode=1`)
      await page.locator('#chosen tbody tr', { hasText: 'missing' }).first().getByRole('link').click()
      await page.getByRole('heading', { name: 'Complete it' }).waitFor()
    },
    plan: async page => {
      await page.goto(`${running.origin}/letters?reason=held`)
      await page.getByRole('button', { name: 'Plan a redrive' }).click()
      await page.getByLabel('Type the number of letters').waitFor()
    },
    samples: async page => {
      await page.getByRole('link', { name: 'Samples', exact: true }).click()
      await page.locator('summary', { hasText: 'stripe' }).click()
      await page.getByRole('button', { name: 'Send stripe/full-refund', exact: true }).waitFor()
    },
    'no-letter': async page => {
      await page.goto(`${running.origin}/letter?id=nobody`)
      await page.getByRole('heading', { name: 'No such letter' }).waitFor()
    },
    'no-token': async page => {
      await page.evaluate(() => sessionStorage.clear())
      await page.reload()
      await page.getByRole('heading', { name: 'This tab has no key to the page' }).waitFor()
    },
  }

  for (const [name, show] of Object.entries(views)) {
    test(name, async () => {
      const page = await open(browser, running.page)
      await page.getByRole('heading', { name: 'Overview' }).waitFor()
      await show(page)
      for (const width of [1280, 400]) {
        await page.setViewportSize({ width, height: 900 })
        for (const scheme of ['light', 'dark']) {
          await page.emulateMedia({ colorScheme: scheme })
          await picture(page, `${name}-${width}-${scheme}`)
          await fits(page, `${name} at ${width} px, ${scheme}`)
          if ((width === 400) === (scheme === 'dark')) await accessible(page, `${name} at ${width} px, ${scheme}`) // colours and layout, once each
        }
      }
      for (const width of [1130, 1000, 860, 740]) {
        await page.setViewportSize({ width, height: 900 })
        await fits(page, `${name} at ${width} px`)
      }
      await close(page, /status of 404/)
    })
  }
})
