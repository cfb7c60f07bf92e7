// helpers.js (if supported)
function validateEmail(email) {
return email && email.includes('@');
}
function sanitizeInput(input) {
return input.trim().substring(0, 1000);
}

module.exports = { validateEmail, sanitizeInput };
