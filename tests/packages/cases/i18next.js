const i18next = require('i18next');

module.exports = async () => {
  const i18n = i18next.createInstance();
  await i18n.init({
    lng: 'de', fallbackLng: 'en', showSupportNotice: false, compatibilityJSON: undefined, interpolation: { escapeValue: true },
    resources: {
      en: { translation: { hello: 'Hello {{name}}', only: 'only english', item_one: '{{count}} item', item_other: '{{count}} items', nested: { key: 'n $t(only)' } } },
      de: { translation: { hello: 'Hallo {{name}}', friend_male: 'Freund', friend_female: 'Freundin' } },
    },
  });
  const own = i18n.getFixedT('en');
  return {
    hello: i18n.t('hello', { name: '<Ada>' }), fallback: i18n.t('only'), nested: own('nested.key'), plural: [own('item', { count: 1 }), own('item', { count: 3 })],
    context: i18n.t('friend', { context: 'female' }), missing: i18n.t('no.such', 'default'), exists: [i18n.exists('hello'), i18n.exists('nope')],
    changed: await i18n.changeLanguage('en').then((t) => t('hello', { name: 'Bob' })), dir: i18n.dir('ar'),
  };
};
