const { CronExpressionParser } = require('cron-parser');

module.exports = () => {
  const next = (text, count = 3, more = {}) => {
    const expression = CronExpressionParser.parse(text, { currentDate: new Date('2024-02-28T10:20:30Z'), tz: 'UTC', ...more });
    return Array.from({ length: count }, () => expression.next().toISOString());
  };
  return {
    minutes: next('*/15 * * * *'), leap: next('0 0 29 2 *', 2), weekdays: next('30 9 * * 1-5'), seconds: next('*/20 * * * * *'),
    last: next('0 0 L * *', 2), back: CronExpressionParser.parse('0 12 * * *', { currentDate: new Date(0), tz: 'UTC' }).prev().toISOString(),
    text: CronExpressionParser.parse('@hourly').stringify(),
    bad: (() => { try { CronExpressionParser.parse('61 * * * *'); return null; } catch (error) { return error.message; } })(),
  };
};
