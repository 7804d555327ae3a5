"""Who people are: a Cognito user pool, its app clients and its sign-in pages."""

from __future__ import annotations

from aws_cdk import Aws, Duration, RemovalPolicy, SecretValue
from aws_cdk import aws_cognito as cognito
from constructs import Construct

from settings import Settings

#: As in scores/identity/verifier.py: a token with this scope may raise any player's score.
RESOURCE_SERVER, WRITE_SCOPE = "scoreboard", "score.write"


class Identity(Construct):
    """The pool, the page's client (PKCE, no secret), the client of the site's own server, the moderators."""

    def __init__(self, scope: Construct, identifier: str, settings: Settings) -> None:
        super().__init__(scope, identifier)
        protected = settings.sizes.protected
        self.pool = cognito.UserPool(
            self,
            "Pool",
            user_pool_name=settings.name,
            self_sign_up_enabled=True,
            sign_in_aliases=cognito.SignInAliases(email=True),
            auto_verify=cognito.AutoVerifiedAttrs(email=True),
            account_recovery=cognito.AccountRecovery.EMAIL_ONLY,
            mfa=cognito.Mfa.OPTIONAL,
            mfa_second_factor=cognito.MfaSecondFactor(otp=True, sms=False),
            password_policy=cognito.PasswordPolicy(
                min_length=12,
                require_digits=True,
                require_lowercase=True,
                require_symbols=True,
                require_uppercase=True,
                temp_password_validity=Duration.days(3),
            ),
            feature_plan=cognito.FeaturePlan.PLUS if protected else cognito.FeaturePlan.ESSENTIALS,
            standard_threat_protection_mode=cognito.StandardThreatProtectionMode.FULL_FUNCTION
            if protected
            else None,
            deletion_protection=protected,
            removal_policy=RemovalPolicy.RETAIN if protected else RemovalPolicy.DESTROY,
        )
        cognito.CfnUserPoolGroup(
            self,
            "Moderators",
            user_pool_id=self.pool.user_pool_id,
            group_name="moderators",
            description="for the site's own use: the scoreboard's admin has accounts of its own",
        )
        self.web_client = self._web_client(settings)
        self.machine_client = self._machine_client()
        prefix = f"{settings.name}-{Aws.ACCOUNT_ID}"  # unique in the region, among all accounts
        domain = self.pool.add_domain(
            "SignIn", cognito_domain=cognito.CognitoDomainOptions(domain_prefix=prefix)
        )
        #: Origin of the hosted sign-in pages.
        self.sign_in_origin = domain.base_url()

    @property
    def client_ids(self) -> str:
        """The app clients whose tokens count, as COGNITO_CLIENT_IDS wants them."""
        return f"{self.web_client.user_pool_client_id},{self.machine_client.user_pool_client_id}"

    def _web_client(self, settings: Settings) -> cognito.UserPoolClient:
        providers = [cognito.UserPoolClientIdentityProvider.COGNITO]
        federated = self._federated(settings)
        if federated:
            providers.append(cognito.UserPoolClientIdentityProvider.custom(federated.provider_name))
        client = self.pool.add_client(
            "Web",
            user_pool_client_name="web",
            generate_secret=False,
            auth_flows=cognito.AuthFlow(user_srp=True),
            o_auth=cognito.OAuthSettings(
                flows=cognito.OAuthFlows(authorization_code_grant=True),
                scopes=[cognito.OAuthScope.OPENID],
                callback_urls=[f"{settings.origin}/"],
                logout_urls=[f"{settings.origin}/"],
            ),
            supported_identity_providers=providers,
            prevent_user_existence_errors=True,
            enable_token_revocation=True,
            access_token_validity=Duration.hours(1),
            id_token_validity=Duration.hours(1),
            refresh_token_validity=Duration.days(30),
        )
        if federated:
            client.node.add_dependency(federated)
        return client

    def _machine_client(self) -> cognito.UserPoolClient:
        scope = cognito.ResourceServerScope(
            scope_name=WRITE_SCOPE, scope_description="raise any player's score"
        )
        server = self.pool.add_resource_server("Api", identifier=RESOURCE_SERVER, scopes=[scope])
        return self.pool.add_client(
            "Machine",
            user_pool_client_name="site-server",
            generate_secret=True,
            auth_flows=cognito.AuthFlow(),
            o_auth=cognito.OAuthSettings(
                flows=cognito.OAuthFlows(client_credentials=True),
                scopes=[cognito.OAuthScope.resource_server(server, scope)],
            ),
            supported_identity_providers=[cognito.UserPoolClientIdentityProvider.COGNITO],
            prevent_user_existence_errors=True,
            enable_token_revocation=True,
            access_token_validity=Duration.hours(1),
        )

    def _federated(self, settings: Settings) -> cognito.UserPoolIdentityProviderOidc | None:
        if not settings.oidc_issuer:
            return None
        secret = SecretValue.secrets_manager(f"scoreboard/{settings.environment}/oidc-secret")
        return cognito.UserPoolIdentityProviderOidc(
            self,
            "Federated",
            user_pool=self.pool,
            name="site",
            issuer_url=settings.oidc_issuer,
            client_id=settings.oidc_client_id,
            client_secret=secret.unsafe_unwrap(),  # a reference in the template, not the secret
            scopes=["openid", "email"],
            attribute_mapping=cognito.AttributeMapping(email=cognito.ProviderAttribute.other("email")),
        )
