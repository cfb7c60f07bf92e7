const { parseStringPromise, Builder, processors } = require('xml2js');

module.exports = async () => ({
  parsed: await parseStringPromise('<r a="1"><i>x</i><i n="2">y</i><e/></r>'),
  flat: await parseStringPromise('<r><A>1</A><b>true</b></r>', {
    explicitArray: false, tagNameProcessors: [processors.normalize], valueProcessors: [processors.parseNumbers, processors.parseBooleans],
  }),
  built: new Builder({ headless: true, renderOpts: { pretty: false } }).buildObject({ r: { $: { a: '1' }, i: ['x', { _: 'y & z', $: { n: 2 } }] } }),
  namespaced: await parseStringPromise('<a:r xmlns:a="u"><a:i/></a:r>', { xmlns: true }).then(({ 'a:r': r }) => r.$ns),
  failed: await parseStringPromise('<a><b></a>').catch((error) => error.message.split('\n')[0]),
});
